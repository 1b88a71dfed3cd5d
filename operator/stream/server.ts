import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { SecureContextOptions } from "node:tls";

import type { AuthResult } from "./authenticator.ts";
import type { StreamHub } from "./hub.ts";
import { parseVersions, type Versions } from "./versions.ts";
import { BEHIND_HEADER } from "./wire.ts";

export interface ServerOptions {
  readonly tls: SecureContextOptions;
  readonly hub: StreamHub;
  readonly authenticate: (token: string, node: string) => Promise<AuthResult>;
  readonly log: ServerLog;
  readonly heartbeatMs: number;
  /** Told of each request that was refused, with its HTTP status. */
  readonly refused?: (status: number) => void;
  /** How long `stop` waits for what was written to leave. */
  readonly stopMs?: number;
}

export interface ServerLog {
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void;
}

const PATH = /^\/v1\/nodes\/([a-z0-9][a-z0-9.-]{0,252})\/stream$/;
const RETRY_AFTER_SECONDS = 1;

/** Serves `GET /v1/nodes/<node>/stream` over TLS: one endless response of lines for each enforcer. */
export class StreamServer {
  readonly #options: ServerOptions;
  readonly #server: Server;
  #heartbeat: NodeJS.Timeout | undefined;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#server = createServer({ ...options.tls, minVersion: "TLSv1.3" }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        options.log.warn("stream request failed", { error: String(error) });
        response.destroy();
      });
    });
    // Handshakes that fail are an everyday matter (port scans, clients that wait for a new CA).
    this.#server.on("tlsClientError", (error) => options.log.info("stream handshake failed", { error: error.message }));
  }

  /** @returns the port. @throws when it is taken */
  async start(port: number, host?: string): Promise<number> {
    this.#server.listen(port, host);
    await once(this.#server, "listening");
    this.#heartbeat = setInterval(() => this.#options.hub.heartbeat(), this.#options.heartbeatMs);
    return (this.#server.address() as AddressInfo).port;
  }

  /** New connections get this certificate; running streams go on. */
  useCertificate(tls: SecureContextOptions): void {
    this.#server.setSecureContext({ ...tls, minVersion: "TLSv1.3" });
  }

  async stop(): Promise<void> {
    clearInterval(this.#heartbeat);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#options.hub.close("the operator stops");
    const hurry = setTimeout(() => this.#server.closeAllConnections(), this.#options.stopMs ?? 2_000);
    await closed;
    clearTimeout(hurry);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { hub, authenticate } = this.#options;
    const url = new URL(request.url ?? "/", "https://operator");
    const [, node] = PATH.exec(url.pathname) ?? [];
    if (node === undefined) return this.#refuse(request, response, 404, "no such path");
    if (request.method !== "GET") return this.#refuse(request, response, 405, "only GET");
    const since = versionsOf(url);
    if (since === undefined) return this.#refuse(request, response, 400, "since is no list of versions", node);
    if (!hub.ready) return this.#refuse(request, response, 503, "the operator has not seen the cluster yet", node);
    const verdict = await authenticate(tokenOf(request), node);
    if (!verdict.allowed) return this.#refuse(request, response, verdict.status, verdict.reason, node);
    const late = hub.behind(since);
    if (late !== undefined) {
      response.setHeader(BEHIND_HEADER, late);
      return this.#refuse(request, response, 503, `this replica has not seen the newest ${late} yet`, node);
    }
    if (!response.destroyed) this.#follow(node, request, response);
  }

  #follow(node: string, request: IncomingMessage, response: ServerResponse): void {
    const { hub, log } = this.#options;
    const peer = request.socket.remoteAddress;
    response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    let reason = "the client has gone";
    const attachment = hub.attach(node, {
      // One that has ended takes nothing more: what it missed is part of the snapshot that it comes back for.
      write: (text) => !response.writableEnded && response.write(text),
      end: (why) => {
        reason = why;
        // A reader that takes nothing would never see the end of what waits for it.
        if (response.writableNeedDrain) response.destroy();
        else response.end();
      },
    });
    log.info("enforcer connected", { node, peer });
    response.on("drain", () => attachment.drained());
    response.on("close", () => {
      attachment.detach();
      log.info("enforcer disconnected", { node, peer, reason });
    });
  }

  /** What the client is told never depends on which check failed; the log says it. */
  #refuse(request: IncomingMessage, response: ServerResponse, status: number, reason: string, node?: string): void {
    const { refused, log } = this.#options;
    refused?.(status);
    log.warn("stream request refused", { status, reason, node, peer: request.socket.remoteAddress });
    const body = status === 401 || status === 403 ? "not allowed" : reason;
    response.setHeader("content-type", "text/plain").setHeader("connection", "close");
    if (status === 503) response.setHeader("retry-after", RETRY_AFTER_SECONDS);
    if (status === 401) response.setHeader("www-authenticate", "Bearer");
    response.writeHead(status).end(`${body}\n`);
  }
}

function tokenOf({ headers }: IncomingMessage): string {
  return /^Bearer ([\x21-\x7e]+)$/i.exec(headers.authorization ?? "")?.[1] ?? "";
}

function versionsOf(url: URL): Versions | undefined {
  try {
    return parseVersions(url.searchParams.get("since") ?? "");
  } catch {
    return undefined;
  }
}
