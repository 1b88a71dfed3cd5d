import type { RequestOptions } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { Agent, type Dispatcher } from "undici";

export interface Connection {
  readonly dispatcher: Dispatcher;
  /** The credentials of this request; never logged. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Other requests may wait for the same attempt, so it must end well before they give up. */
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Connections to one API server that are kept open and shared. client-node gives the credentials; the dispatcher it
 * would give is a new one for each request, which costs a TLS handshake every time.
 */
export class ConnectionPool {
  readonly #config: KubeConfig;
  #current: { readonly key: string; readonly dispatcher: Dispatcher } | undefined;

  constructor(config: KubeConfig) {
    this.#config = config;
  }

  /** Asked for every request: tokens are renewed while we run; a renewed client certificate needs new connections. */
  async connection(): Promise<Connection> {
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const { ca, cert, key, rejectUnauthorized, servername } = options;
    const tls = Object.entries({ ca, cert, key, rejectUnauthorized, servername });
    const identity = tls.map(([, value]) => String(value)).join("\n");
    if (this.#current?.key !== identity) {
      const retired = this.#current?.dispatcher;
      const given = Object.fromEntries(tls.filter(([, value]) => value !== undefined));
      // HTTP/1.1: over HTTP/2 everything shares one connection, and aborting a request that gets no answer resets its
      // stream only, so that a connection whose other end is gone without a word would be used again and again.
      const connect = { ...given, timeout: CONNECT_TIMEOUT_MS };
      this.#current = { key: identity, dispatcher: new Agent({ connect, allowH2: false }) };
      // Ends when what is under way on it has ended.
      void retired?.close();
    }
    const given = Object.entries(options.headers ?? {});
    const headers = Object.fromEntries(given.map(([name, value]) => [name.toLowerCase(), String(value)]));
    if (typeof options.auth === "string") {
      headers["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;
    }
    return { dispatcher: this.#current.dispatcher, headers };
  }

  async close(): Promise<void> {
    await this.#current?.dispatcher.destroy();
    this.#current = undefined;
  }
}
