import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";

import { DEFAULT_ENFORCER_SETTINGS } from "../api/enforcer-settings.ts";
import { errorMessage } from "../api/error-message.ts";
import { BatchAssembler, RefusedBatch, type Batch } from "./batch.ts";
import { parseStreamLine } from "./codec.ts";
import { LineSplitter } from "./line-splitter.ts";
import { formatVersions, type Versions } from "./versions.ts";
import { BEHIND_HEADER, type Hello } from "./wire.ts";

export type ConnectionState = "connecting" | "connected" | "refused" | "disconnected";

export interface ClientOptions {
  readonly node: string;
  /** What is dialled: an address, since the cluster's DNS may depend on what we program. */
  readonly host: string;
  readonly port: number;
  /** What the server's certificate must name. */
  readonly serverName: string;
  /** Both are read at each connect: they are rotated. */
  readonly caFile: string;
  readonly tokenFile: string;
  /**
   * What a connection began with; told just before its first batch or order to leave, in the same turn: what is said by
   * a stream that makes no sense has no effect, its settings included.
   */
  readonly onHello: (hello: Hello) => void;
  /** Nothing more is read until it is done. If it throws, the stream is started anew. */
  readonly onBatch: (batch: Batch) => Promise<void> | void;
  /** The stream makes no sense: all that has come since the last batch is left out. */
  readonly onRefusedBatch?: (reason: string) => void;
  /** The node is to be cleared. */
  readonly onRetire: () => void;
  readonly onState: (state: ConnectionState, message: string) => void;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
  /** Ends early, without an error, when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Of the last batch that an earlier run has applied. */
  readonly since?: Versions;
  /**
   * How long replicas may say that they are behind what was last applied here before they are believed to be right: a
   * cluster that was restored from a backup counts from an older version on. Milliseconds.
   */
  readonly behindMs?: number;
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
  /** From dialling to the response's head. */
  readonly connectMs?: number;
}

/** Follows a node's stream, for ever: whatever goes wrong is told and tried again. */
export class StreamClient {
  readonly #options: ClientOptions;
  #since: Versions;
  /** In a row, without a batch in between. */
  #failures = 0;
  /** When a replica first said so, and none has served us since. */
  #behindAt: number | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#since = options.since ?? {};
  }

  /** Works until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { onState, sleep } = this.#options;
    while (!signal.aborted) {
      let atLeastMs = 0;
      try {
        onState("connecting", `to ${this.#options.host}:${this.#options.port}`);
        await this.#follow(signal);
        onState("disconnected", "the operator has ended the stream");
      } catch (error) {
        if (signal.aborted) return;
        const refused = error instanceof Refused || error instanceof RefusedBatch;
        onState(refused ? "refused" : "disconnected", errorMessage(error));
        if (error instanceof RefusedBatch) this.#options.onRefusedBatch?.(error.message);
        if (error instanceof Refused) {
          atLeastMs = error.retryAfterMs;
          if (error.behind) this.#outwait();
        }
      }
      await sleep(Math.max(atLeastMs, this.#jitter()), signal);
    }
  }

  /** One replica catches up within seconds; all of them together are never behind for long. */
  #outwait(): void {
    const { monotonic, onState, behindMs = 300_000 } = this.#options;
    this.#behindAt ??= monotonic();
    if (monotonic() - this.#behindAt < behindMs) return;
    const since = formatVersions(this.#since);
    onState("disconnected", `every replica is behind ${since} for ${behindMs} ms: that is forgotten`);
    this.#since = {};
    this.#behindAt = undefined;
  }

  /** Full jitter: a restarted operator must not meet all its enforcers in one moment. */
  #jitter(): number {
    const { baseMs, capMs } = this.#options.backoff ?? { baseMs: 500, capMs: 30_000 };
    const ceiling = Math.min(capMs, baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return this.#options.random() * ceiling;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { onState, onHello, onBatch, onRetire } = this.#options;
    const response = await this.#connect(signal);
    onState("connected", `to ${this.#options.host}:${this.#options.port}`);
    const assembler = new BatchAssembler(this.#options.node);
    const splitter = new LineSplitter();
    let silenceMs = DEFAULT_ENFORCER_SETTINGS.streamSilenceMs;
    let held: Hello | undefined;
    const chunks: AsyncIterator<Uint8Array> = response[Symbol.asyncIterator]();
    try {
      for (;;) {
        const chunk = await this.#unlessSilent(chunks, response, silenceMs);
        if (chunk === undefined) return;
        for (const line of malformed(() => splitter.push(chunk))) {
          const assembled = malformed(() => assembler.take(parseStreamLine(line)));
          if (assembled === undefined) continue;
          if ("settings" in assembled) {
            silenceMs = assembled.settings.streamSilenceMs;
            held = assembled;
            continue;
          }
          if (held !== undefined) onHello(held);
          held = undefined;
          if ("kind" in assembled) {
            await onBatch(assembled);
            if (signal.aborted) return;
            this.#since = assembled.revision.versions;
            this.#failures = 0;
            this.#behindAt = undefined;
          } else {
            this.#failures = 0;
            onRetire();
          }
        }
      }
    } finally {
      response.destroy();
    }
  }

  async #unlessSilent(
    chunks: AsyncIterator<Uint8Array>,
    response: IncomingMessage,
    silenceMs: number,
  ): Promise<Uint8Array | undefined> {
    const heard = new AbortController();
    const watch = this.#options.sleep(silenceMs, heard.signal).then(() => {
      if (!heard.signal.aborted) response.destroy(new Error(`the stream was silent for ${silenceMs} ms`));
    });
    try {
      const next = await chunks.next();
      return next.done === true ? undefined : next.value;
    } finally {
      heard.abort();
      await watch;
    }
  }

  async #connect(signal: AbortSignal): Promise<IncomingMessage> {
    const { node, host, port, serverName, caFile, tokenFile, sleep, connectMs = 10_000 } = this.#options;
    const [ca, token] = await Promise.all([readFile(caFile, "utf8"), readFile(tokenFile, "utf8")]);
    const answered = new AbortController();
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = request({
        host,
        port,
        path: `/v1/nodes/${node}/stream?since=${encodeURIComponent(formatVersions(this.#since))}`,
        headers: { authorization: `Bearer ${token.trim()}`, host: serverName },
        ca,
        servername: serverName,
        minVersion: "TLSv1.3",
        signal,
        // An agent of its own: no proxy from the environment, no session that skips the check of a rotated CA.
        agent: new Agent({ keepAlive: false, maxCachedSessions: 0 }),
      });
      sent.on("response", (response) => {
        if (response.statusCode === 200) {
          answered.abort();
          resolve(response);
        } else {
          // What it says may never come to its end.
          void refusal(response).then(reject, reject).finally(() => answered.abort());
        }
      });
      sent.on("error", (error) => {
        answered.abort();
        reject(error);
      });
      sent.end();
      void sleep(connectMs, answered.signal).then(() => {
        if (!answered.signal.aborted) sent.destroy(new Error(`no answer within ${connectMs} ms`));
      });
    });
  }
}

/** The operator has answered, and not with a stream. */
class Refused extends Error {
  readonly retryAfterMs: number;
  /** The replica has not seen yet what we have applied. */
  readonly behind: boolean;

  constructor(message: string, retryAfterMs: number, behind: boolean) {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.behind = behind;
  }
}

async function refusal(response: IncomingMessage): Promise<Refused> {
  let text = "";
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    if (text.length > 500) break;
  }
  const seconds = Number(response.headers["retry-after"] ?? 0);
  const retryAfterMs = Number.isFinite(seconds) ? Math.min(Math.max(0, seconds), 300) * 1000 : 0;
  const behind = response.headers[BEHIND_HEADER] !== undefined;
  return new Refused(`${response.statusCode} ${text.slice(0, 500).trim()}`, retryAfterMs, behind);
}

/** Whatever `read` throws means that the stream is malformed. */
function malformed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw cause instanceof RefusedBatch ? cause : new RefusedBatch(`malformed stream: ${errorMessage(cause)}`, { cause });
  }
}
