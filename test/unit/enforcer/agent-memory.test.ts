import assert from "node:assert/strict";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { NodeCopy } from "../../../operator/enforcer/disk-copy.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { Memory } from "../../../operator/enforcer/node-memory.ts";
import { guarded, inForce, Stage } from "./agent-stage.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";

const SETTINGS = { ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: ["10.1.0.0/24"] };
const copyOf = (state: NodeCopy["state"]): NodeCopy => ({ settings: SETTINGS, state, versions: { pods: "7" } });

class Notes implements Memory {
  readonly kept: NodeCopy[] = [];
  forgotten = 0;

  keep(copy: NodeCopy): void {
    this.kept.push(copy);
  }

  async forget(): Promise<void> {
    this.forgotten += 1;
  }
}

/** A kernel as an enforcer leaves it that had `state` in force, and everything swept up. */
async function kernelWith(state: NodeCopy["state"], kernel = new FakeNetfilter(), other = new FakeNetfilter()) {
  await using stage = new Stage(kernel, { other });
  stage.agent.configure(SETTINGS);
  stage.agent.receive(state);
  await stage.report(inForce(state));
  await stage.pass(100);
  kernel.written.length = 0;
  return kernel;
}

/** What was written, but for what tries out the kernel. */
function changes({ written }: FakeNetfilter): readonly string[] {
  return written.map(([, text]) => text).filter((text) => !text.includes("TW-PROBE"));
}

async function setsOf(kernel: FakeNetfilter): Promise<readonly (readonly string[])[]> {
  return [...(await kernel.read("ipv4")).sets.values()].map(({ members }) => [...members]);
}

describe("an Agent's memory", () => {
  it("is given what is in force, with its settings and versions, and never a disk copy again", async () => {
    const memory = new Notes();
    await using stage = new Stage(new FakeNetfilter(), { memory, copy: copyOf(guarded(["10.2.0.1"])) });
    await stage.report(({ standing }) => standing === "EnforcingDiskCopy");
    assert.deepEqual(memory.kept, []);
    const state = guarded(["10.2.0.2"]);
    stage.agent.receive(state, { pods: "8" });
    await stage.report(inForce(state));
    assert.deepEqual(memory.kept, [{ settings: SETTINGS, state, versions: { pods: "8" } }]);
  });

  it("is not given what failed", async () => {
    const memory = new Notes();
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel, { memory });
    await stage.pass(50);
    kernel.failures.push(new NetfilterError("ApplyFailed", "no"));
    const state = guarded(["10.2.0.2"]);
    stage.agent.receive(state);
    await stage.report(({ failure }) => failure !== undefined);
    assert.deepEqual(memory.kept, []);
    await stage.report(inForce(state));
    assert.equal(memory.kept.length, 1);
  });

  it("stands in after a reboot, until the stream has spoken", async () => {
    const kernel = new FakeNetfilter();
    const copy = copyOf(guarded(["10.2.0.1"]));
    await using stage = new Stage(kernel, { copy });
    const report = await stage.report(inForce(copy.state));
    assert.deepEqual([report.standing, report.wrote, stage.agent.ready], ["EnforcingDiskCopy", true, false]);
    assert.deepEqual(await setsOf(kernel), [["10.2.0.1"]]);
    const state = guarded(["10.2.0.2"]);
    stage.agent.receive(state);
    const next = await stage.report(inForce(state));
    assert.deepEqual([next.standing, stage.agent.ready], ["Enforcing", true]);
    assert.deepEqual(await setsOf(kernel), [["10.2.0.2"]]);
  });

  it("stands in where a run before was killed between the skeleton and the copy", async () => {
    const kernel = new FakeNetfilter();
    await (async () => {
      await using before = new Stage(kernel);
      assert.ok(!before.agent.ready);
      await before.pass(50);
    })();
    const copy = copyOf(guarded(["10.2.0.1"]));
    await using stage = new Stage(kernel, { copy });
    await stage.report(inForce(copy.state));
  });

  for (const [what, left] of [["the same", ["10.2.0.1"]], ["something newer", ["10.2.0.9"]]] as const) {
    it(`stands in where ${what} was in force and somebody has flushed it in one family`, async () => {
      const kernel = await kernelWith(guarded(left));
      const { chains } = await kernel.read("ipv4");
      const flush = ["*filter", "-F FORWARD", ...[...chains.keys()].map((name) => `-F ${name}`), "COMMIT", ""];
      await kernel.restoreRules("ipv4", flush.join("\n"));
      const copy = copyOf(guarded(["10.2.0.1"]));
      await using stage = new Stage(kernel, { copy });
      const report = await stage.report(inForce(copy.state));
      assert.deepEqual([report.standing, report.wrote], ["EnforcingDiskCopy", true]);
      const { chains: after, hooks, sets } = await kernel.read("ipv4");
      assert.deepEqual([hooks.get("FORWARD")?.first, [...sets.values()].map(({ members }) => [...members])], [true, [["10.2.0.1"]]]);
      assert.equal(after.get("TW-I")?.length, 1);
    });
  }

  it("writes nothing where the kernel still holds it, and then watches over it", async () => {
    const state = guarded(["10.2.0.1"]);
    const kernel = await kernelWith(state);
    const copy = { ...copyOf(state), settings: { ...SETTINGS, driftCheckMs: 30 } };
    await using stage = new Stage(kernel, { copy });
    const report = await stage.report(inForce(state));
    assert.deepEqual([report.standing, report.wrote, changes(kernel)], ["EnforcingDiskCopy", false, []]);
    await kernel.restoreRules("ipv4", "*filter\n-F FORWARD\nCOMMIT\n");
    await stage.pass(150);
    assert.equal((await kernel.read("ipv4")).hooks.get("FORWARD")?.first, true);
  });

  it("does not take a kernel back in time that holds something newer", async () => {
    const kernel = await kernelWith(guarded(["10.2.0.9"]));
    await using stage = new Stage(kernel, { copy: copyOf(guarded(["10.2.0.1"])) });
    await stage.pass(100);
    assert.deepEqual([changes(kernel), stage.reports], [[], []]);
    assert.deepEqual(await setsOf(kernel), [["10.2.0.9"]]);
  });

  it("nor one whose newer rules are in the other backend", async () => {
    const other = await kernelWith(guarded(["10.2.0.9"]));
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel, { other, copy: copyOf(guarded(["10.2.0.1"])) });
    await stage.pass(100);
    assert.deepEqual([stage.reports, await setsOf(kernel), changes(other)], [[], [], []]);
  });

  it("is passed over when the stream is faster", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel, { copy: copyOf(guarded(["10.2.0.1"])) });
    const state = guarded(["10.2.0.2"]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
    assert.deepEqual(stage.reports.filter(({ standing }) => standing !== "Enforcing"), []);
  });

  it("also when the stream is faster than the look at the kernel", async () => {
    const [state, copy] = [guarded(["10.2.0.2"]), copyOf(guarded(["10.2.0.1"]))];
    const other = new FakeNetfilter();
    const look = other.leftovers.bind(other);
    await using stage = new Stage(new FakeNetfilter(), { other, copy });
    let looks = 0;
    other.leftovers = async (family) => {
      looks += 1;
      if (looks === 1) stage.agent.receive(state);
      return await look(family);
    };
    await stage.report(inForce(state));
    assert.deepEqual([looks > 0, stage.reports.filter(({ standing }) => standing !== "Enforcing")], [true, []]);
  });
});

describe("an Agent that is told to leave", () => {
  it("clears both backends and its memory, says so, and stays idle", async () => {
    const memory = new Notes();
    const state = guarded(["10.2.0.1"]);
    const other = await kernelWith(guarded(["10.2.0.9"]));
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel, { memory, other });
    stage.agent.configure({ ...SETTINGS, driftCheckMs: 20 });
    stage.agent.receive(state);
    await stage.report(inForce(state));
    stage.agent.retire();
    const report = await stage.report(({ standing }) => standing === "Retired");
    const { state: left, wrote, rules, sets, failure } = report;
    assert.deepEqual([left, wrote, rules, sets, failure], [undefined, true, { ipv4: 0, ipv6: 0 }, 0, undefined]);
    assert.deepEqual([stage.agent.ready, memory.forgotten], [false, 1]);
    const writes = kernel.written.length;
    await stage.pass(100);
    assert.equal(kernel.written.length, writes);
    for (const each of [kernel, other]) {
      for (const family of ["ipv4", "ipv6"] as const) {
        const { chains, hooks, sets } = await each.read(family);
        assert.deepEqual([chains.size, hooks.get("FORWARD")], [0, { lines: [], first: false }]);
        // The backends of a real kernel share them.
        if (each === kernel) assert.equal(sets.size, 0);
      }
    }
  });

  it("also before it has heard of any state", async () => {
    const [kernel, other] = [await kernelWith(guarded(["10.2.0.1"])), await kernelWith(guarded(["10.2.0.9"]))];
    await using stage = new Stage(kernel, { other, copy: copyOf(guarded(["10.2.0.1"])) });
    stage.agent.retire();
    await stage.report(({ standing }) => standing === "Retired");
    for (const each of [kernel, other]) assert.equal((await each.read("ipv4")).chains.size, 0);
  });

  it("takes the jumps away before the chains, and the chains before the sets", async () => {
    const kernel = await kernelWith(guarded(["10.2.0.1"]));
    await using stage = new Stage(kernel);
    await stage.pass(50);
    kernel.written.length = 0;
    stage.agent.retire();
    await stage.report(({ standing }) => standing === "Retired");
    const shape = kernel.written.map(([kind, text]) => {
      return kind === "sets" ? kind : text.includes("-D FORWARD") ? "jumps" : "chains";
    });
    assert.deepEqual(shape, ["jumps", "chains", "jumps", "chains", "sets"]);
  });

  it("tries again when a tool fails, and says why meanwhile, and confirms nothing", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
    await stage.pass(50);
    kernel.failures.push(new NetfilterError("ApplyFailed", "the lock is held"));
    stage.agent.retire();
    const failed = await stage.report(({ failure }) => failure?.message === "the lock is held");
    assert.equal(failed.state, undefined);
    await stage.report(({ standing }) => standing === "Retired");
  });

  it("waits for sets that are let go a little later", async () => {
    const kernel = await kernelWith(guarded(["10.2.0.1"]));
    await using stage = new Stage(kernel);
    await stage.pass(50);
    kernel.failures.push(undefined, undefined, undefined, undefined, new NetfilterError("ApplyFailed", "in use"));
    stage.agent.retire();
    const report = await stage.report(({ standing }) => standing === "Retired");
    assert.equal(report.failure, undefined);
    assert.deepEqual(stage.reports.filter(({ failure }) => failure !== undefined), []);
    assert.deepEqual(await setsOf(kernel), []);
  });

  it("comes back with the next state", async () => {
    const memory = new Notes();
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel, { memory });
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
    stage.agent.retire();
    await stage.report(({ standing }) => standing === "Retired");
    stage.reports.length = 0;
    stage.agent.receive(state);
    const report = await stage.report(inForce(state));
    assert.deepEqual([report.standing, report.wrote, stage.agent.ready], ["Enforcing", true, true]);
    assert.equal(memory.kept.length, 2);
    assert.equal((await kernel.read("ipv4")).hooks.get("FORWARD")?.first, true);
  });
});
