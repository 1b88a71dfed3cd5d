/**
 * The other ends of an enforcer's wires, for a test inside its network namespace: the real stream server, which lets
 * everyone in, and an HTTPS server that takes the statuses and knows the SegmentNode only from the second write on.
 * Arguments: certificate file, key file, and as JSON whether enforcement is switched off and what settings are others.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import type { EnforcerSettings } from "../../operator/api/enforcer-settings.ts";
import { DEFAULT_ENFORCER_SETTINGS } from "../../operator/api/enforcer-settings.ts";
import type { NodeState } from "../../operator/api/node-state.ts";
import type { SegmentNodeStatus } from "../../operator/api/segment-node.ts";
import { StreamHub } from "../../operator/stream/hub.ts";
import { StreamServer } from "../../operator/stream/server.ts";
import type { StateDraft } from "./enforcer-state.ts";
import { nodeState } from "./enforcer-state.ts";

export type OperatorOrder =
  /** The node's state from now on; its pods and policies are published to whoever follows. */
  | { readonly do: "state"; readonly state: StateDraft; readonly generation: number }
  | { readonly do: "statuses" };

export const STREAM_PORT = 18443;
export const API_PORT = 16443;
export const SEGMENT = "shop";

/** `retiring`: enforcement is switched off. */
export type OperatorOptions = Partial<EnforcerSettings> & { readonly retiring?: boolean };

if (import.meta.main) {
  const [, , certificate = "", key = "", options = "{}"] = process.argv;
  await main(certificate, key, JSON.parse(options) as OperatorOptions);
}

async function main(certFile: string, keyFile: string, { retiring, ...others }: OperatorOptions): Promise<void> {
  const tls = { cert: await readFile(certFile), key: await readFile(keyFile) };
  const statuses: SegmentNodeStatus[] = [];
  let requests = 0;
  const api = createServer(tls, (request, response) => {
    void text(request).then((body) => {
      requests += 1;
      if (requests > 1) statuses.push((JSON.parse(body) as { readonly status: SegmentNodeStatus }).status);
      response.writeHead(requests > 1 ? 200 : 404).end("{}");
    });
  });
  api.listen(API_PORT, "127.0.0.1");
  let state: NodeState = nodeState({});
  let version = 1;
  const hub = new StreamHub({
    version: "test",
    settings: { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 500, streamSilenceMs: 45_000, ...others },
    retiring: retiring === true,
    state: () => state,
    monotonic: () => performance.now(),
  });
  if (retiring === true) hub.publish(new Map(), {});
  const log = { info: () => undefined, warn: () => undefined };
  const authenticate = () => Promise.resolve({ allowed: true } as const);
  await new StreamServer({ tls, hub, authenticate, log, heartbeatMs: 15_000 }).start(STREAM_PORT, "127.0.0.1");
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, order } = JSON.parse(line) as { id: number; order: OperatorOrder };
    if (order.do === "state") {
      const mark = { generation: order.generation, revision: `r${order.generation}` };
      state = { ...nodeState(order.state), generations: new Map([[SEGMENT, mark]]) };
      const delta = { policies: state.policies, pods: state.pods, peers: new Map(), generations: state.generations };
      hub.publish(new Map([["node-1", delta]]), { pods: String((version += 1)) });
    }
    process.stdout.write(`${JSON.stringify({ id, outcome: order.do === "state" ? "done" : statuses })}\n`);
  }
  process.exit(0);
}
