import assert from "node:assert/strict";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { GenerationMark, NodeState } from "../../../operator/api/node-state.ts";
import { Agent } from "../../../operator/enforcer/agent.ts";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import { UNKNOWN_HOST } from "../../../operator/enforcer/host.ts";
import type { LineLogger } from "../../../operator/enforcer/line-logger.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { NodeFirewall } from "../../../operator/enforcer/node-firewall.ts";
import type { NodeReport } from "../../../operator/enforcer/node-report.ts";
import type { StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";

const SILENT: LineLogger = { info: () => undefined, warn: () => undefined, error: () => undefined };
const MARK: GenerationMark = { generation: 3, revision: "r3" };

function guarded(peers: readonly string[]): NodeState {
  const draft: StateDraft = {
    pods: { db: { address: "10.1.0.5", ingress: ["db"] } },
    policies: { db: { ingress: [{ peers: ["peers"] }] } },
    peers: { peers },
  };
  return { ...nodeState(draft), generations: new Map([["shop", MARK]]) };
}

/** An agent at work on a kernel in memory. */
class Stage implements AsyncDisposable {
  readonly reports: NodeReport[] = [];
  readonly agent: Agent;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(kernel: FakeNetfilter) {
    this.agent = new Agent({
      firewall: new NodeFirewall({
        netfilter: (backend) => (backend === "nft" ? kernel : new FakeNetfilter()),
        chooseBackend: async () => "nft",
        host: { look: async () => UNKNOWN_HOST, bridges: async () => false },
        monotonic: SYSTEM_CLOCK.monotonic,
      }),
      report: (report) => this.reports.push(report),
      log: SILENT,
      clock: { ...SYSTEM_CLOCK, sleep: (ms, signal) => SYSTEM_CLOCK.sleep(Math.min(ms, 20), signal) },
      random: () => 0,
      sweepAfterMs: 0,
    });
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

const inForce = (state: NodeState) => (report: NodeReport) => report.state === state && report.failure === undefined;

describe("Agent", () => {
  it("installs the skeleton and nothing else before the first state", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    await SYSTEM_CLOCK.sleep(50, new AbortController().signal);
    const { chains, hooks } = await kernel.read("ipv4");
    assert.deepEqual([...chains.keys()].toSorted(), ["TW-DROP", "TW-E", "TW-EST", "TW-FWD", "TW-I", "TW-NEW"]);
    assert.deepEqual(hooks.get("FORWARD"), { lines: ["-j TW-FWD"], first: true });
    assert.deepEqual([...(await kernel.read("ipv6")).hooks], [...hooks]);
    assert.equal(stage.reports.length, 0);
  });

  it("applies each state, and is ready only then", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    assert.equal(stage.agent.ready, false);
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    const first = await stage.report(inForce(state));
    assert.equal(first.rules.ipv4 > 10 && first.rules.ipv6 > 10 && first.sets === 1, true);
    assert.equal(stage.agent.ready, true);
    const next = guarded(["10.2.0.2"]);
    stage.agent.receive(next);
    await stage.report(inForce(next));
    const members = [...(await kernel.read("ipv4")).sets.values()].map((set) => [...set.members]);
    assert.deepEqual(members, [["10.2.0.2"]]);
  });

  it("keeps what is in force when a write fails, says so in the tool's words, and gets there in the end", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    const [before, after] = [guarded(["10.2.0.1"]), guarded(["10.2.0.2"])];
    stage.agent.receive(before);
    await stage.report(inForce(before));
    const failure = new NetfilterError("ApplyFailed", "line 3 failed");
    kernel.failures.push(failure, failure, failure);
    stage.agent.receive(after);
    const failed = await stage.report(({ failure }) => failure !== undefined);
    assert.deepEqual(failed.failure, { reason: "ApplyFailed", message: "line 3 failed" });
    assert.equal(failed.state, before);
    await stage.report(inForce(after));
  });

  it("says that a tool is missing before any state has come, and confirms nothing", async () => {
    const kernel = new FakeNetfilter();
    kernel.failures.push(new NetfilterError("IpsetMissing", "ipset is not installed in the enforcer's image"));
    await using stage = new Stage(kernel);
    const failed = await stage.report(({ failure }) => failure !== undefined);
    assert.deepEqual([failed.failure?.reason, failed.state], ["IpsetMissing", undefined]);
    const state = guarded([]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
  });

  it("puts back what somebody else changed", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    stage.agent.configure({ ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 30, podCIDRs: [] });
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
    await kernel.restoreRules("ipv4", "*filter\n-F FORWARD\n-F TW-I\nCOMMIT\n");
    const writes = kernel.written.length;
    await SYSTEM_CLOCK.sleep(150, new AbortController().signal);
    const { hooks, chains } = await kernel.read("ipv4");
    assert.deepEqual([hooks.get("FORWARD")?.first, chains.get("TW-I")?.length], [true, 1]);
    assert.equal(kernel.written.length, writes + 2, "the repair and its name, then nothing more to write");
  });

  it("does what new settings say with the state that it has", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    const state = guarded([]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
    stage.reports.length = 0;
    stage.agent.configure({ ...DEFAULT_ENFORCER_SETTINGS, nodeTraffic: "Enforce", podCIDRs: [] });
    await stage.report(inForce(state));
    assert.deepEqual((await kernel.read("ipv4")).hooks.get("INPUT")?.lines, ["-j TW-LOC"]);
    stage.reports.length = 0;
    stage.agent.configure({ ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: [] });
    await stage.report(inForce(state));
    assert.deepEqual((await kernel.read("ipv4")).hooks.get("INPUT")?.lines, []);
  });
});
