import assert from "node:assert/strict";
import type { NodeState } from "../../../operator/api/node-state.ts";
import type { FamilyPlan } from "../../../operator/enforcer/family-firewall.ts";
import { FamilyFirewall, FamilyRecords } from "../../../operator/enforcer/family-firewall.ts";
import type { TrackedFlow } from "../../../operator/enforcer/layout/flow-verdict.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import type { Netfilter } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { guarded, PLAN } from "./guarded-pod.ts";

describe("the addresses of pods that are gone", () => {
  const { signal } = new AbortController();
  const GONE = nodeState({});
  const KEEP = { mask: 0, options: { ...DEFAULT_OPTIONS, establishedFlows: "Keep" } } as const;
  const asked = (client: string): TrackedFlow => ({
    protocol: "UDP", source: client, sourcePort: 1_024, server: "10.9.9.9", serverPort: 53,
  });

  async function started(
    kernel: Netfilter, change: Partial<FamilyPlan> = {}, records?: FamilyRecords,
  ): Promise<FamilyFirewall> {
    const firewall = new FamilyFirewall(kernel, "ipv4", { ...PLAN, ...change }, records);
    await firewall.prepare(signal);
    return firewall;
  }

  /** As many pods. */
  function many(count: number): NodeState {
    const pods = Array.from({ length: count }, (_, index) => [`p${index}`, { address: `10.1.0.${index + 5}` }] as const);
    return nodeState({ pods: Object.fromEntries(pods) });
  }

  /** A pod, or another at its address. */
  function holder(uid: string): NodeState {
    return nodeState({ pods: { db: { address: "10.1.0.5", ingress: ["db"], uid } }, policies: { db: {} } });
  }

  async function until(what: string, holds: () => boolean): Promise<void> {
    for (let turn = 0; turn < 1_000; turn += 1) {
      if (holds()) return;
      await new Promise(setImmediate);
    }
    assert.fail(`never: ${what}`);
  }

  it("are forgotten, some time later", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded([]), signal);
    kernel.tracked = [asked("10.1.0.5")];
    await firewall.apply(GONE, signal);
    await firewall.sweep(signal);
    await until("forgotten", () => kernel.tracked.length === 0);
  });

  it("are forgotten before another pod has one, in however many batches, also where connections are kept", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel, KEEP);
    await firewall.apply(holder("old"), signal);
    kernel.tracked = [asked("10.1.0.5"), asked("10.2.0.1")];
    await firewall.apply(GONE, signal);
    await firewall.apply(many(0), signal);
    const written = kernel.written.length;
    const forget = kernel.forgetAddress.bind(kernel);
    kernel.forgetAddress = async (...args) => {
      assert.ok(kernel.written.length > written, "the new pod's rules come first: nothing new is tracked unjudged");
      await forget(...args);
    };
    await firewall.apply(holder("new"), signal);
    assert.deepEqual(kernel.tracked, [asked("10.2.0.1")]);
  });

  it("are not taken for gone once another pod has them, also if the first attempt at that failed", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel, KEEP);
    await firewall.apply(holder("old"), signal);
    await firewall.apply(GONE, signal);
    // The second write is what the new pod may do.
    kernel.failures.push(undefined, new NetfilterError("ApplyFailed", "no"));
    const state = guarded(["10.2.0.1"]);
    await assert.rejects(firewall.apply(state, signal));
    kernel.failures.length = 0;
    await firewall.apply(state, signal);
    kernel.tracked = [asked("10.1.0.5")];
    await firewall.sweep(signal);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.deepEqual(kernel.tracked, [asked("10.1.0.5")], "it is the new pod's");
  });

  it("are not gone as long as the state without their pod is not in force: the pod may stay", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded([]), signal);
    kernel.failures.push(new NetfilterError("ApplyFailed", "no"));
    await assert.rejects(firewall.apply(GONE, signal));
    await firewall.apply(guarded([]), signal);
    kernel.tracked = [asked("10.1.0.5")];
    await firewall.sweep(signal);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    assert.deepEqual(kernel.tracked, [asked("10.1.0.5")]);
  });

  it("hold up no state while they are forgotten, and are let go of for the one whose pod has one", async () => {
    const kernel: Netfilter = new FakeNetfilter();
    const forgotten: string[] = [];
    let given = 0;
    // Slow, as on a node with many connections; whoever is told to stop stops.
    kernel.forgetAddress = async (_family, address, stop) => {
      forgotten.push(address);
      if (forgotten.length > 1) return;
      await new Promise((resolve) => stop.addEventListener("abort", resolve, { once: true }));
      given += 1;
      throw new NetfilterError("ApplyFailed", "conntrack: killed");
    };
    const firewall = await started(kernel, KEEP);
    await firewall.apply(many(3), signal);
    await firewall.apply(GONE, signal);
    await firewall.sweep(signal);
    await firewall.apply(nodeState({ pods: { z: { address: "10.1.0.99" } } }), signal);
    assert.deepEqual([forgotten, given], [["10.1.0.5"], 0]);
    await firewall.apply(holder("new"), signal);
    assert.deepEqual([forgotten, given], [["10.1.0.5", "10.1.0.5"], 1], "and then for the new pod's sake");
    await firewall.sweep(signal);
    await until("the others", () => forgotten.length === 5);
    assert.deepEqual(forgotten.slice(2), ["10.1.0.6", "10.1.0.7", "10.1.0.99"]);
  });

  it("are forgotten without a pause when a node is drained", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(many(110), signal);
    kernel.tracked = Array.from({ length: 110 }, (_, index) => asked(`10.1.0.${index + 5}`));
    await firewall.apply(GONE, signal);
    await firewall.sweep(signal);
    await until("all of them", () => kernel.tracked.length === 0);
  });

  it("are known as such to the firewall that takes another's place", async () => {
    const kernel = new FakeNetfilter();
    const records = new FamilyRecords();
    const first = await started(kernel, KEEP, records);
    await first.apply(holder("old"), signal);
    kernel.tracked = [asked("10.1.0.5")];
    await first.apply(GONE, signal);
    const second = await started(kernel, KEEP, records);
    await second.apply(holder("new"), signal);
    assert.deepEqual(kernel.tracked, []);
  });

  it("that cannot be forgotten are said to be so, and tried again", async () => {
    const kernel = new FakeNetfilter();
    const forget = kernel.forgetAddress.bind(kernel);
    const failure = new NetfilterError("ConntrackMissing", "conntrack is not installed");
    kernel.forgetAddress = () => Promise.reject(failure);
    const firewall = await started(kernel);
    await firewall.apply(many(1), signal);
    kernel.tracked = [asked("10.1.0.5")];
    await firewall.apply(GONE, signal);
    await firewall.sweep(signal);
    await new Promise(setImmediate);
    await assert.rejects(firewall.sweep(signal), failure);
    kernel.forgetAddress = forget;
    await firewall.sweep(signal);
    await until("forgotten", () => kernel.tracked.length === 0);
  });
});
