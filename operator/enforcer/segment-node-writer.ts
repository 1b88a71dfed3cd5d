import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { Agent as ConnectionPool, request } from "node:https";
import { text } from "node:stream/consumers";
import { API_VERSION, ENFORCER_FIELD_MANAGER } from "../api/meta.ts";
import type { SegmentNodeStatus } from "../api/segment-node.ts";
import type { StatusSink } from "./segment-node-reporter.ts";

export interface ApiServer {
  /** `https://10.96.0.1:443` */
  readonly server: string;
  readonly caFile: string;
  readonly tokenFile: string;
}

const TIMEOUT_MS = 10_000;

/**
 * Patches one SegmentNode's status by server-side apply. The whole of the API client that an enforcer needs: a full one
 * would cost its memory on every node.
 */
export class SegmentNodeWriter implements StatusSink {
  readonly #api: ApiServer;
  readonly #node: string;
  readonly #pool = new ConnectionPool({ keepAlive: true, maxSockets: 1 });

  constructor(api: ApiServer, node: string) {
    this.#api = api;
    this.#node = node;
  }

  async write(status: SegmentNodeStatus, signal: AbortSignal): Promise<void> {
    const body = { apiVersion: API_VERSION, kind: "SegmentNode", metadata: { name: this.#node }, status };
    const response = await this.#send(JSON.stringify(body), AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
    const answer = await text(response);
    if (response.statusCode === 200 || response.statusCode === 201) return;
    throw new Error(`SegmentNode ${this.#node}: ${response.statusCode ?? "no status"} ${reasonOf(answer)}`);
  }

  close(): void {
    this.#pool.destroy();
  }

  async #send(body: string, signal: AbortSignal): Promise<IncomingMessage> {
    const { server, caFile, tokenFile } = this.#api;
    // Both are renewed under us while we run.
    const [ca, token] = await Promise.all([readFile(caFile, "utf8"), readFile(tokenFile, "utf8")]);
    const path = `/apis/${API_VERSION}/segmentnodes/${encodeURIComponent(this.#node)}/status`;
    const url = new URL(`${path}?fieldManager=${ENFORCER_FIELD_MANAGER}&force=true`, server);
    return await new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${token.trim()}`,
        "content-type": "application/apply-patch+yaml",
        "content-length": Buffer.byteLength(body),
      };
      request(url, { method: "PATCH", headers, ca, agent: this.#pool, signal }, resolve).on("error", reject).end(body);
    });
  }
}

/** The message of a `Status` object, or the start of whatever came instead. */
function reasonOf(answer: string): string {
  try {
    const { message }: { readonly message?: unknown } = JSON.parse(answer);
    if (typeof message === "string") return message;
  } catch {
    // Not the API server's own words then; said as they are.
  }
  return answer.slice(0, 200);
}
