import type { GenerationMark, NodeState } from "../../../operator/api/node-state.ts";
import { Agent } from "../../../operator/enforcer/agent.ts";
import type { NodeCopy } from "../../../operator/enforcer/disk-copy.ts";
import { UNKNOWN_HOST } from "../../../operator/enforcer/host.ts";
import type { LineLogger } from "../../../operator/enforcer/line-logger.ts";
import { NodeFirewall } from "../../../operator/enforcer/node-firewall.ts";
import type { Memory } from "../../../operator/enforcer/node-memory.ts";
import type { NodeReport } from "../../../operator/enforcer/node-report.ts";
import type { StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { VirtualClock } from "./virtual-clock.ts";

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
  /** Absent = one of its own. */
  readonly clock?: VirtualClock;
  readonly sweepAfterMs?: number;
}

/** An agent at work on a kernel in memory, in a time that passes only when it is let. */
export class Stage implements AsyncDisposable {
  readonly reports: NodeReport[] = [];
  readonly agent: Agent;
  readonly #clock: VirtualClock;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(kernel: FakeNetfilter, options: StageOptions = {}) {
    const { copy, memory, other = new FakeNetfilter(), stalledAfterMs = Infinity, clock = new VirtualClock(), sweepAfterMs = 0 } = options;
    this.#clock = clock;
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

  /** Lets so many milliseconds pass. */
  async pass(ms: number): Promise<void> {
    await this.#clock.pass(ms);
  }

  /** Lets time pass until `wanted` accepts a report. @returns the newest such */
  async report(wanted: (report: NodeReport) => boolean): Promise<NodeReport> {
    for (let waited = 0; waited < 1_000; waited += 1) {
      const found = this.reports.findLast(wanted);
      if (found !== undefined) return found;
      await this.pass(5);
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
