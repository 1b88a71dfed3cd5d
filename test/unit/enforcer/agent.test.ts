import assert from "node:assert/strict";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { guarded, inForce, Stage } from "./agent-stage.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";

const JUMPS = [
  "-m conntrack ! --ctstate RELATED,ESTABLISHED ! --ctstatus CONFIRMED -j TW-FWD",
  "-m connmark ! --mark 0x10000/0xffff0000 -j TW-EST",
];

describe("Agent", () => {
  it("installs the skeleton and nothing else before the first state", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    await stage.pass(50);
    const { chains, hooks } = await kernel.read("ipv4");
    assert.deepEqual([...chains.keys()].toSorted(), ["TW-DROP", "TW-E", "TW-EST", "TW-FWD", "TW-I", "TW-STATE"]);
    assert.deepEqual(hooks.get("FORWARD"), { lines: JUMPS, first: true });
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

  it("says that its tools take long while they do, and what is in force once they have answered", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel, { stalledAfterMs: 10 });
    const answered = Promise.withResolvers<void>();
    const restore = kernel.restoreRules.bind(kernel);
    kernel.restoreRules = async (family, text) => {
      await answered.promise;
      await restore(family, text);
    };
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    const { failure } = await stage.report((report) => report.failure !== undefined);
    assert.equal(failure?.reason, "ApplyStalled");
    assert.match(failure.message, /takes longer than 0\.01 s, and is still waited for/);
    answered.resolve();
    await stage.report(inForce(state));
  });

  it("tries a new state at once, however long it was to wait after a failure", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    const before = guarded(["10.2.0.1"]);
    stage.agent.receive(before);
    await stage.report(inForce(before));
    kernel.failures.push(new NetfilterError("ApplyFailed", "line 3 failed"));
    stage.agent.receive(guarded(["10.2.0.1", "10.2.0.3"]));
    await stage.report(({ failure }) => failure !== undefined);
    const state = guarded(["10.2.0.2"]);
    stage.agent.receive(state);
    await stage.pass(0);
    assert.deepEqual(stage.reports.findLast(inForce(state))?.state, state);
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
    await stage.pass(150);
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
    assert.match((await kernel.read("ipv4")).hooks.get("INPUT")?.lines.join() ?? "", / -j TW-LOC,.* -j TW-LEST$/);
    stage.reports.length = 0;
    stage.agent.configure({ ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: [] });
    await stage.report(inForce(state));
    assert.deepEqual((await kernel.read("ipv4")).hooks.get("INPUT")?.lines, []);
  });
});
