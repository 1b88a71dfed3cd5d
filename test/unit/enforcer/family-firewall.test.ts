import assert from "node:assert/strict";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { generationIn, guarded, started } from "./guarded-pod.ts";

describe("FamilyFirewall", () => {
  const { signal } = new AbortController();

  it("skips generations that connections still hold", async () => {
    const kernel = new FakeNetfilter();
    for (const value of [1, 2, 4]) kernel.held.add(`0x${value.toString(16)}0000/0xffff0000`);
    const firewall = await started(kernel);
    assert.equal(await generationIn(kernel), "0x30000/0xffff0000");
    await firewall.apply(guarded([]), signal);
    assert.equal(await generationIn(kernel), "0x50000/0xffff0000");
  });

  /** Each write of a narrowing fails once, as if killed there; the next start must give a new generation. */
  for (const lived of [0, 1, 2]) {
    it(`gives a new generation after a narrowing that was cut short after ${lived} writes`, async () => {
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel);
      await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
      await firewall.sweep(signal);
      const before = await generationIn(kernel);
      const failure = new NetfilterError("ApplyFailed", "killed");
      kernel.failures.push(...Array<undefined>(lived).fill(undefined), failure);
      const narrower = guarded(["10.2.0.1"]);
      // Two writes do it: the member, then the generation.
      if (lived < 2) await assert.rejects(firewall.apply(narrower, signal), failure);
      else await firewall.apply(narrower, signal);
      kernel.failures.length = 0;
      const next = await started(kernel);
      await next.apply(narrower, signal);
      assert.notEqual(await generationIn(kernel), before);
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
      const before = await generationIn(kernel);
      // The generation that was due is written by the start after the crash, or by the change itself.
      kernel.failures.push(undefined, new NetfilterError("ApplyFailed", "killed"));
      await assert.rejects(firewall.apply(guarded(["10.2.0.1"]), signal));
      kernel.failures.length = 0;
      const next = await started(kernel);
      await next.apply(guarded(["10.2.0.1"]), signal);
      assert.notEqual(await generationIn(kernel), before);
    });
  }

  it("gives it at the next try when writing it failed", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
    const before = await generationIn(kernel);
    kernel.failures.push(undefined, new NetfilterError("ApplyFailed", "lock held"));
    await assert.rejects(firewall.apply(guarded(["10.2.0.1"]), signal));
    assert.equal(await generationIn(kernel), before);
    await firewall.apply(guarded(["10.2.0.1"]), signal);
    assert.notEqual(await generationIn(kernel), before);
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

  it("does not fail before members that are on their way have come", async () => {
    const kernel = new SlowSets();
    const firewall = await started(kernel);
    kernel.connectionHolds = async () => {
      throw new NetfilterError("ApplyFailed", "conntrack is broken");
    };
    // There are values in reserve.
    for (let round = 0; round < 64; round += 1) {
      const [failed] = await Promise.allSettled([firewall.apply(guarded([`10.2.0.${round}`]), signal)]);
      assert.equal(kernel.filling, 0, "a member that came now would stay, whatever is done next");
      if (failed?.status === "rejected") return;
    }
    assert.fail("it never failed");
  });

  it("gives a new generation after a repair: anyone may have slipped through", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    const state = guarded(["10.2.0.1"]);
    await firewall.apply(state, signal);
    const before = await generationIn(kernel);
    assert.equal((await firewall.verify(state, "listed", signal)).wrote, false);
    assert.equal(await generationIn(kernel), before);
    await kernel.restoreRules("ipv4", "*filter\n-F FORWARD\nCOMMIT\n");
    assert.equal((await firewall.verify(state, "listed", signal)).wrote, true);
    assert.notEqual(await generationIn(kernel), before);
  });

  describe("peers that leave", () => {
    it("are cut together, once in a while", async () => {
      let now = 10_000;
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel, { leaversMs: 1_000, monotonic: () => now });
      await firewall.apply(guarded(["10.2.0.1", "10.2.0.2", "10.2.0.3", "10.2.0.4"]), signal);
      now += 5_000;
      const before = await generationIn(kernel);
      const first = await firewall.apply(guarded(["10.2.0.1", "10.2.0.2", "10.2.0.3"]), signal);
      const cut = await generationIn(kernel);
      assert.notEqual(cut, before, "after a quiet time at once");
      assert.equal(first.leaversDue, undefined);
      now += 300;
      assert.equal((await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal)).leaversDue, 16_000);
      now += 300;
      const third = guarded(["10.2.0.1"]);
      assert.equal((await firewall.apply(third, signal)).leaversDue, 16_000);
      assert.equal(await generationIn(kernel), cut);
      assert.deepEqual([...((await kernel.read("ipv4")).sets.values().toArray()[0]?.members ?? [])], ["10.2.0.1"]);
      now += 400;
      assert.equal((await firewall.apply(third, signal)).leaversDue, undefined);
      assert.notEqual(await generationIn(kernel), cut);
    });

    it("do not wait when a rule narrows too", async () => {
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel, { leaversMs: 1_000, monotonic: () => 10_000 });
      await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
      const before = await generationIn(kernel);
      assert.equal((await firewall.apply(guarded(["10.2.0.1"]), signal)).leaversDue, 11_000);
      assert.equal(await generationIn(kernel), before);
      const applied = await firewall.apply(nodeState({}), signal);
      assert.equal(applied.leaversDue, undefined);
      assert.notEqual(await generationIn(kernel), before);
    });

    it("are cut at the next start if the enforcer does not live to do it", async () => {
      const kernel = new FakeNetfilter();
      const plan = { leaversMs: 1_000, monotonic: () => 10_000 };
      const firewall = await started(kernel, plan);
      await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
      await firewall.sweep(signal);
      await firewall.apply(guarded(["10.2.0.1"]), signal);
      await firewall.sweep(signal);
      const before = await generationIn(kernel);
      const next = await started(kernel, plan);
      await next.apply(guarded(["10.2.0.1"]), signal);
      assert.notEqual(await generationIn(kernel), before);
    });
  });

  it("cuts a peer that came and left since the last sweep, if the enforcer does not live to do it", async () => {
    const kernel = new FakeNetfilter();
    const plan = { leaversMs: 1_000, monotonic: () => 10_000 };
    const firewall = await started(kernel, plan);
    await firewall.apply(guarded(["10.2.0.1"]), signal);
    await firewall.sweep(signal);
    await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
    const before = await generationIn(kernel);
    // The kernel now looks as it did when the state was named, but for the connections of the one that left.
    assert.equal((await firewall.apply(guarded(["10.2.0.1"]), signal)).leaversDue, 11_000);
    const next = await started(kernel, plan);
    await next.apply(guarded(["10.2.0.1"]), signal);
    assert.notEqual(await generationIn(kernel), before);
  });

  describe("a check", () => {
    it("writes nothing and says the same as long as nothing changes", async () => {
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel);
      const state = guarded(["10.2.0.1"]);
      await firewall.apply(state, signal);
      for (let round = 0; round < 3; round += 1) await firewall.sweep(signal);
      const { length } = kernel.written;
      const first = await firewall.verify(state, "listed", signal);
      assert.deepEqual(await firewall.verify(state, "listed", signal), first);
      assert.deepEqual([first.wrote, kernel.written.length], [false, length]);
    });

    it("puts right what was right at the check before", async () => {
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel);
      const state = guarded(["10.2.0.1"]);
      await firewall.apply(state, signal);
      for (let round = 0; round < 3; round += 1) await firewall.sweep(signal);
      await firewall.verify(state, "listed", signal);
      await kernel.restoreRules("ipv4", "*filter\n-F TW-I\nCOMMIT\n");
      assert.equal((await firewall.verify(state, "listed", signal)).wrote, true);
      assert.notEqual((await kernel.read("ipv4")).chains.get("TW-I")?.length, 0);
    });

    it("that cannot read the kernel holds up no change", async () => {
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel);
      await firewall.apply(guarded(["10.2.0.1"]), signal);
      const read = kernel.read.bind(kernel);
      kernel.read = () => Promise.reject(new NetfilterError("ApplyFailed", "iptables-save is broken"));
      await assert.rejects(firewall.verify(guarded(["10.2.0.1"]), "listed", signal));
      await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
      kernel.read = read;
      assert.equal([...(await kernel.read("ipv4")).sets.values()][0]?.members.size, 2);
    });

    it("goes on sweeping what could not be swept at first", async () => {
      const kernel = new FakeNetfilter();
      const firewall = await started(kernel);
      await firewall.apply(guarded(["10.2.0.1"]), signal);
      const state = nodeState({});
      await firewall.apply(state, signal);
      await firewall.sweep(signal);
      await firewall.verify(state, "listed", signal);
      kernel.failures.push(new NetfilterError("ApplyFailed", "Set cannot be destroyed: it is in use"));
      await assert.rejects(firewall.sweep(signal));
      for (let round = 0; round < 3; round += 1) {
        await firewall.verify(state, "listed", signal);
        await firewall.sweep(signal);
      }
      assert.equal((await kernel.read("ipv4")).sets.size, 0);
    });
  });

  it("sweeps nothing up after a change that failed: what stands is not known", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded(["10.2.0.1"]), signal);
    await firewall.apply(nodeState({}), signal);
    kernel.failures.push(new NetfilterError("ApplyFailed", "no"));
    await assert.rejects(firewall.apply(guarded(["10.2.0.2"]), signal));
    const { length } = kernel.written;
    await firewall.sweep(signal);
    assert.equal(kernel.written.length, length);
    await firewall.apply(guarded(["10.2.0.2"]), signal);
    await firewall.sweep(signal);
    assert.ok(kernel.written.length > length);
  });
});

/** Takes its time to take sets. */
class SlowSets extends FakeNetfilter {
  filling = 0;

  override async restoreSets(text: string): Promise<void> {
    this.filling += 1;
    await new Promise((resolve) => setTimeout(resolve, 1));
    await super.restoreSets(text);
    this.filling -= 1;
  }
}
