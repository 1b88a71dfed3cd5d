import type { KubeConfig } from "@kubernetes/client-node";
import type { Dispatcher } from "undici";
import { request as send } from "undici";
import { ApiError, errorFromAnswer, Unreachable } from "./api-error.ts";
import { ConnectionPool } from "./connection-pool.ts";
import { LineSplitter } from "./line-splitter.ts";

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From `collectionPath` or `objectPath`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON, exactly as it is. */
  readonly body?: unknown;
  /** `application/json` if absent. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** For the whole answer, or for the head of a stream. */
  readonly timeoutMs?: number;
}

/** Raw JSON to and from the API server: a generated serializer drops `from`, and a rule without it allows everyone. */
export interface ApiClient {
  /** @returns the answer's JSON. @throws ApiError | Unreachable, or the signal's reason */
  request(request: ApiRequest): Promise<unknown>;
  /** The lines of a long answer, in batches as they arrive. Leaving the loop closes it. @throws as `request` */
  stream(request: ApiRequest): AsyncIterable<readonly string[]>;
}

/** Told of every request; `status` is 0 if no answer came. */
export type RequestObserver = (method: string, status: number) => void;

const TIMEOUT_MS = 30_000;

export class KubeClient implements ApiClient {
  readonly #pool: ConnectionPool;
  readonly #server: string;
  readonly #observe: RequestObserver;

  constructor(config: KubeConfig, observe: RequestObserver = () => undefined) {
    this.#pool = new ConnectionPool(config);
    this.#server = config.getCurrentCluster()?.server.replace(/\/+$/, "") ?? "";
    if (this.#server === "") throw new TypeError("the kubeconfig's current context names no cluster");
    this.#observe = observe;
  }

  async request(request: ApiRequest): Promise<unknown> {
    const timeout = AbortSignal.timeout(request.timeoutMs ?? TIMEOUT_MS);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout]);
    const answer = await this.#send(request, signal);
    try {
      return await answer.body.json();
    } catch (cause) {
      throw failure(request, cause);
    }
  }

  /** Closes all connections at once. */
  async close(): Promise<void> {
    await this.#pool.close();
  }

  async *stream(request: ApiRequest): AsyncGenerator<readonly string[]> {
    const head = new AbortController();
    const timer = setTimeout(() => head.abort(new Error("no answer in time")), request.timeoutMs ?? TIMEOUT_MS);
    const signal = request.signal === undefined ? head.signal : AbortSignal.any([request.signal, head.signal]);
    try {
      const answer = await this.#send(request, signal);
      clearTimeout(timer);
      const splitter = new LineSplitter();
      for await (const chunk of answer.body) {
        const lines = splitter.push(chunk);
        if (lines.length > 0) yield lines;
      }
    } catch (cause) {
      throw failure(request, cause);
    } finally {
      clearTimeout(timer);
      head.abort();
    }
  }

  async #send(request: ApiRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { method, path, query, body } = request;
    const url = `${this.#server}${path}${query === undefined ? "" : `?${new URLSearchParams(query)}`}`;
    let answer: Dispatcher.ResponseData;
    try {
      signal.throwIfAborted();
      const { dispatcher, headers: credentials } = await this.#pool.connection();
      const headers: Record<string, string> = { ...credentials, accept: "application/json" };
      if (body !== undefined) headers["content-type"] = request.contentType ?? "application/json";
      answer = await untilAborted(signal, send(url, {
        method, headers, signal, body: body === undefined ? null : JSON.stringify(body),
        // Our own limits hold: undici's would end a quiet watch after five minutes.
        headersTimeout: 0, bodyTimeout: 0, dispatcher,
      }));
    } catch (cause) {
      this.#observe(method, 0);
      throw failure(request, cause);
    }
    this.#observe(method, answer.statusCode);
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    const text = await answer.body.text().catch((cause: unknown) => { throw failure(request, cause); });
    const retryAfter = answer.headers["retry-after"];
    const wait = typeof retryAfter === "string" ? retryAfter : undefined;
    throw errorFromAnswer(method, path, answer.statusCode, text, wait);
  }
}

/** undici itself looks at the signal only once it is connected, and that may take long. */
function untilAborted<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => reject(signal.reason);
    signal.addEventListener("abort", end);
    void answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", end));
  });
}

/** The caller's own abort stays what it is; everything else that is no answer is Unreachable. */
function failure({ method, path, signal }: ApiRequest, cause: unknown): unknown {
  if (signal?.aborted) return signal.reason;
  return cause instanceof ApiError || cause instanceof Unreachable ? cause : new Unreachable(method, path, cause);
}
