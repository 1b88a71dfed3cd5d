import type { GenerationMark, NodeState } from "../../../operator/api/node-state.ts";
import { Agent } from "../../../operator/enforcer/agent.ts";
import type { Clock } from "../../../operator/enforcer/clock.ts";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import type { NodeCopy } from "../../../operator/enforcer/disk-copy.ts";
import { UNKNOWN_HOST } from "../../../operator/enforcer/host.ts";
import type { LineLogger } from "../../../operator/enforcer/line-logger.ts";
import { NodeFirewall } from "../../../operator/enforcer/node-firewall.ts";
import type { Memory } from "../../../operator/enforcer/node-memory.ts";
import type { NodeReport } from "../../../operator/enforcer/node-report.ts";
import type { StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";

export const SILENT: LineLogger = { info: () => undefined, warn: () => undefined, error: () => undefined };
const MARK: GenerationMark = { generation: 3, revision: "r3" };

/** One isolated pod with these peers. */
export function guarded(peers: readonly string[]): NodeState {
  const draft: StateDraft = {
    pods: { db: { address: "10.1.0.5", ingress: ["db"] } },
    policies: { db: { ingress: [{ peers: ["peers"] }] } },
    peers: { peers },
  };
  return { ...nodeState(draft), generations: new Map([["shop", MARK]]) };
}

interface StageOptions {
  /** Of an earlier run. */
  readonly copy?: NodeCopy;
  readonly memory?: Memory;
  /** The other backend. */
  readonly other?: FakeNetfilter;
  readonly stalledAfterMs?: number;
  readonly clock?: Clock;
  readonly sweepAfterMs?: number;
}

/** Nobody waits for more than a moment. */
const HASTY: Clock = {
  ...SYSTEM_CLOCK, sleep: (ms, signal) => SYSTEM_CLOCK.sleep(ms === Infinity ? 60_000 : Math.min(ms, 20), signal),
};

/** An agent at work on a kernel in memory. */
export class Stage implements AsyncDisposable {
  readonly reports: NodeReport[] = [];
  readonly agent: Agent;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(kernel: FakeNetfilter, options: StageOptions = {}) {
    const { copy, memory, other = new FakeNetfilter(), stalledAfterMs = Infinity, clock = HASTY, sweepAfterMs = 0 } = options;
    this.agent = new Agent({
      firewall: new NodeFirewall({
        netfilter: (backend) => (backend === "nft" ? kernel : other),
        chooseBackend: async () => "nft",
        host: { look: async () => UNKNOWN_HOST, bridges: async () => false },
        monotonic: () => clock.monotonic(),
      }),
      report: (report) => this.reports.push(report),
      ...(memory && { memory }),
      log: SILENT,
      clock,
      random: () => 0,
      sweepAfterMs,
      stalledAfterMs,
    });
    if (copy !== undefined) this.agent.recall(copy);
    this.#done = this.agent.run(this.#stop.signal);
  }

  /** The newest report that `wanted` accepts. */
  async report(wanted: (report: NodeReport) => boolean): Promise<NodeReport> {
    for (let waited = 0; waited < 200; waited += 1) {
      const found = this.reports.findLast(wanted);
      if (found !== undefined) return found;
      await SYSTEM_CLOCK.sleep(5, this.#stop.signal);
    }
    throw new Error(`no such report among ${this.reports.length}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

export function inForce(state: NodeState): (report: NodeReport) => boolean {
  return (report) => report.state === state && report.failure === undefined;
}
