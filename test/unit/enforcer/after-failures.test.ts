import assert from "node:assert/strict";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { NetfilterError, NoAnswer } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { generationIn, guarded, started } from "./guarded-pod.ts";
import { PacketWalk } from "./packet-walk.ts";

/** A kernel whose tools fail in ways of their own. */
class OddNetfilter extends FakeNetfilter {
  /** So many changes of sets are done, and not answered. */
  mute = 0;
  /** How often conntrack still answers. */
  looks = Infinity;

  override async restoreSets(text: string): Promise<void> {
    await super.restoreSets(text);
    if (this.mute === 0) return;
    this.mute -= 1;
    throw new NoAnswer("ipset restore -exist did not end within 20 s");
  }

  override async connectionHolds(...which: Parameters<FakeNetfilter["connectionHolds"]>): Promise<boolean> {
    this.looks -= 1;
    if (this.looks < 0) throw new NetfilterError("ApplyFailed", "conntrack: broken");
    return await super.connectionHolds(...which);
  }
}

describe("a family's firewall after something has failed", () => {
  const { signal } = new AbortController();
  const STRANGER = { source: "10.7.7.7", destination: "10.1.0.5", protocol: "tcp", port: 80 } as const;

  async function isDropped(kernel: FakeNetfilter): Promise<boolean> {
    return !new PacketWalk(await kernel.read("ipv4")).of(STRANGER).passes;
  }

  /** Until no generation is in reserve, and none to be had. */
  async function useUp(act: (round: number) => Promise<unknown>): Promise<void> {
    for (let round = 0; round < 100; round += 1) {
      const [outcome] = await Promise.allSettled([act(round)]);
      if (outcome.status === "rejected") return;
    }
    assert.fail("there is always another generation");
  }

  it("cuts leavers whose members went though the tool did not answer", async () => {
    let now = 10_000;
    const kernel = new OddNetfilter();
    const firewall = await started(kernel, { leaversMs: 1_000, monotonic: () => now });
    await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
    await firewall.sweep(signal);
    const before = await generationIn(kernel);
    now += 300;
    kernel.mute = 1;
    await assert.rejects(firewall.apply(guarded(["10.2.0.1"]), signal), /did not end/);
    await firewall.apply(guarded(["10.2.0.1"]), signal);
    assert.notEqual(await generationIn(kernel), before);
  });

  it("gives a new generation where it finds chains emptied at its start: who slipped through has the old one", async () => {
    const kernel = new FakeNetfilter();
    const state = guarded(["10.2.0.1"]);
    const first = await started(kernel);
    await first.apply(state, signal);
    await first.sweep(signal);
    const before = await generationIn(kernel);
    await kernel.restoreRules("ipv4", "*filter\n-F TW-DROP\nCOMMIT\n");
    assert.equal(await isDropped(kernel), false);
    const next = await started(kernel);
    await next.apply(state, signal);
    assert.equal(await isDropped(kernel), true);
    assert.notEqual(await generationIn(kernel), before);
  });

  it("sweeps up nothing that it knew of before it looked anew", async () => {
    const kernel = new OddNetfilter();
    const firewall = await started(kernel);
    const none = nodeState({ pods: { db: { address: "10.1.0.5", ingress: ["none"] } }, policies: { none: {} } });
    await firewall.apply(none, signal);
    const state = guarded(["10.2.0.1"]);
    await firewall.apply(state, signal);
    kernel.looks = 0;
    await useUp(async () => {
      await kernel.restoreRules("ipv4", "*filter\n-F TW-I\nCOMMIT\n");
      await firewall.verify(state, "listed", signal);
    });
    assert.equal(await isDropped(kernel), false, "the check has found it out, and could not put it right");
    await firewall.sweep(signal);
    kernel.looks = Infinity;
    // A change that only adds a member, on top of what is known.
    await firewall.apply(guarded(["10.2.0.1", "10.2.0.2"]), signal);
    assert.equal(await isDropped(kernel), true);
  });

  it("tells nobody of an earlier attempt's failure", async () => {
    const kernel = new OddNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded(["10.2.0.1"]), signal);
    kernel.looks = 0;
    const other = (round: number): NodeState => guarded([`10.2.0.${1 + (round % 2)}`]);
    await useUp((round) => firewall.apply(other(round), signal));
    kernel.mute = 1;
    await assert.rejects(firewall.apply(guarded(["10.2.0.9"]), signal), /conntrack: broken/);
    kernel.looks = Infinity;
    await firewall.apply(guarded(["10.2.0.9"]), signal);
  });
});
