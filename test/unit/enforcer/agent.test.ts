import assert from "node:assert/strict";
import type { GenerationMark, NodeState } from "../../../operator/api/node-state.ts";
import { Agent } from "../../../operator/enforcer/agent.ts";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import { Firewall } from "../../../operator/enforcer/firewall.ts";
import type { LineLogger } from "../../../operator/enforcer/line-logger.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
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
      firewall: new Firewall(kernel, "ipv4"),
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
    const { chains, hook } = await kernel.read("ipv4");
    assert.deepEqual([...chains.keys()].toSorted(), ["TW-DROP", "TW-E", "TW-EST", "TW-FWD", "TW-I", "TW-NEW"]);
    assert.deepEqual(hook, { jumps: 1, first: true });
    assert.equal(stage.reports.length, 0);
  });

  it("applies each state, and is ready only then", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    assert.equal(stage.agent.ready, false);
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    const first = await stage.report(inForce(state));
    assert.equal(first.rules > 10 && first.sets === 1, true);
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
    stage.agent.configure({ driftCheckMs: 30, streamSilenceMs: 45_000 });
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
    await kernel.restoreRules("ipv4", "*filter\n-F FORWARD\n-F TW-I\nCOMMIT\n");
    const writes = kernel.written.length;
    await SYSTEM_CLOCK.sleep(150, new AbortController().signal);
    const { hook, chains } = await kernel.read("ipv4");
    assert.deepEqual([hook.first, chains.get("TW-I")?.length], [true, 1]);
    assert.equal(kernel.written.length, writes + 2, "the repair and its name, then nothing more to write");
  });
});

describe("Firewall", () => {
  const { signal } = new AbortController();

  async function started(kernel: FakeNetfilter): Promise<Firewall> {
    const firewall = new Firewall(kernel, "ipv4");
    await firewall.prepare(signal);
    return firewall;
  }

  async function mark(kernel: FakeNetfilter): Promise<string | undefined> {
    return (await kernel.read("ipv4")).chains.get("TW-FWD")?.[0]?.match(/--mark (\S+)/)?.[1];
  }

  it("skips generations that connections still hold", async () => {
    const kernel = new FakeNetfilter();
    for (const value of [1, 2, 4]) kernel.held.add(`0x${value.toString(16)}0000/0xffff0000`);
    const firewall = await started(kernel);
    assert.equal(await mark(kernel), "0x30000/0xffff0000");
    await firewall.apply(guarded([]), signal);
    assert.equal(await mark(kernel), "0x50000/0xffff0000");
  });

  it("takes other bits where somebody uses the usual ones, none where all are taken", async () => {
    const kernel = new FakeNetfilter();
    kernel.foreign = 0x80000000;
    await started(kernel);
    assert.match((await mark(kernel)) ?? "", /\/0xffff000$/);
    kernel.foreign = 0xffffffff;
    await assert.rejects(started(kernel), { reason: "ConnmarkInUse" });
  });

  /** Each write of a narrowing fails once, as if killed there; the next start must give a new generation. */
  for (const lived of [0, 1, 2]) {
    it(`gives a new generation after a narrowing that was cut short after ${lived} writes`, async () => {
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel);
      await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
      await firewall.sweep(signal);
      const before = await mark(kernel);
      const failure = new NetfilterError("ApplyFailed", "killed");
      kernel.failures.push(...Array<undefined>(lived).fill(undefined), failure);
      const narrower = guarded(["10.2.0.1"]);
      // Two writes do it: the member, then the generation.
      if (lived < 2) await assert.rejects(firewall.apply(narrower, signal), failure);
      else await firewall.apply(narrower, signal);
      kernel.failures.length = 0;
      const next = await started(kernel);
      await next.apply(narrower, signal);
      assert.notEqual(await mark(kernel), before);
    });
  }

  for (const swept of [true, false]) {
    it(`gives one when a change back was cut short${swept ? "" : " before the first sweep"}`, async () => {
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel);
      await firewall.apply(guarded(["10.2.0.1"]), signal);
      await firewall.sweep(signal);
      await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
      if (swept) await firewall.sweep(signal);
      const before = await mark(kernel);
      // The generation that was due is written by the start after the crash, or by the change itself.
      kernel.failures.push(undefined, new NetfilterError("ApplyFailed", "killed"));
      await assert.rejects(firewall.apply(guarded(["10.2.0.1"]), signal));
      kernel.failures.length = 0;
      const next = await started(kernel);
      await next.apply(guarded(["10.2.0.1"]), signal);
      assert.notEqual(await mark(kernel), before);
    });
  }

  it("gives it at the next try when writing it failed", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
    const before = await mark(kernel);
    kernel.failures.push(undefined, new NetfilterError("ApplyFailed", "lock held"));
    await assert.rejects(firewall.apply(guarded(["10.2.0.1"]), signal));
    assert.equal(await mark(kernel), before);
    await firewall.apply(guarded(["10.2.0.1"]), signal);
    assert.notEqual(await mark(kernel), before);
  });

  it("writes nothing at a start after a change that only allowed more", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded(["10.2.0.1"]), signal);
    await firewall.sweep(signal);
    await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
    await firewall.sweep(signal);
    const { length } = kernel.written;
    const next = await started(kernel);
    assert.equal((await next.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal)).wrote, false);
    assert.equal(kernel.written.length, length);
  });

  it("gives a new generation after a repair: anyone may have slipped through", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    const state = guarded(["10.2.0.1"]);
    await firewall.apply(state, signal);
    const before = await mark(kernel);
    assert.equal((await firewall.verify(state, signal)).wrote, false);
    assert.equal(await mark(kernel), before);
    await kernel.restoreRules("ipv4", "*filter\n-F FORWARD\nCOMMIT\n");
    assert.equal((await firewall.verify(state, signal)).wrote, true);
    assert.notEqual(await mark(kernel), before);
  });
});
