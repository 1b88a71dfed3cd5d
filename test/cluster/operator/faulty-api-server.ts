import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { ControlPlane } from "../../lab/control-plane.ts";

/** An answer in place of the API server's. */
export interface Fault {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterSeconds?: number;
}

/** @returns `undefined` to let the call through */
export type FaultRule = (method: string, path: string) => Fault | undefined;

/** Stands before the API server with a certificate of its authority, and answers what a rule says itself. */
export class FaultyApiServer {
  readonly #server: Server;
  readonly #target: URL;
  readonly #agent: Agent;
  /** When each fault was given, in milliseconds of this process's monotonic clock. */
  readonly #given: number[] = [];
  #rule: FaultRule = () => undefined;

  private constructor(plane: ControlPlane, certificate: { readonly certificate: string; readonly key: string }) {
    this.#target = new URL(plane.url);
    this.#agent = new Agent({ ca: plane.authority.certificate, keepAlive: true });
    this.#server = createServer({ cert: certificate.certificate, key: certificate.key }, (call, answer) => {
      this.#answer(call, answer);
    });
  }

  static async start(plane: ControlPlane): Promise<FaultyApiServer> {
    const certificate = await plane.authority.issue({ user: "faulty-api-server", addresses: ["127.0.0.1"] });
    const faulty = new FaultyApiServer(plane, certificate);
    await new Promise<void>((resolve, reject) => {
      faulty.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return faulty;
  }

  /** Changes a kubeconfig so that its calls come by here. */
  async divert(kubeconfig: string): Promise<void> {
    const { port } = this.#server.address() as AddressInfo;
    const text = await readFile(kubeconfig, "utf8");
    await writeFile(kubeconfig, text.replaceAll(this.#target.origin, `https://127.0.0.1:${port}`));
  }

  /** From now on. @returns a list that grows by the moment of each fault, in milliseconds */
  inject(rule: FaultRule): readonly number[] {
    this.#rule = rule;
    this.#given.length = 0;
    return this.#given;
  }

  heal(): void {
    this.#rule = () => undefined;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#agent.destroy();
  }

  #answer(call: IncomingMessage, answer: ServerResponse): void {
    const { method = "GET", url = "/", headers } = call;
    const fault = this.#rule(method, url);
    if (fault !== undefined) {
      call.resume();
      this.#given.push(performance.now());
      const { status, reason, message, retryAfterSeconds } = fault;
      answer.writeHead(status, {
        "content-type": "application/json",
        ...(retryAfterSeconds !== undefined && { "retry-after": String(retryAfterSeconds) }),
      });
      const type = { kind: "Status", apiVersion: "v1" };
      answer.end(JSON.stringify({ ...type, status: "Failure", code: status, reason, message }));
      return;
    }
    const onward = request(new URL(url, this.#target), { method, headers, agent: this.#agent }, (came) => {
      answer.writeHead(came.statusCode ?? 502, came.headers);
      // A watch has to show its head before its first line.
      answer.flushHeaders();
      came.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    call.pipe(onward);
  }
}
