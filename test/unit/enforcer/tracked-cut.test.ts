import assert from "node:assert/strict";
import type { FamilyPlan } from "../../../operator/enforcer/family-firewall.ts";
import { FamilyFirewall } from "../../../operator/enforcer/family-firewall.ts";
import type { TrackedFlow } from "../../../operator/enforcer/layout/flow-verdict.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { guarded, PLAN, started as startedOn } from "./guarded-pod.ts";

const NO_MARKS = { ...DEFAULT_OPTIONS, lacks: new Set(["connmark"] as const) };

const started = (kernel: FakeNetfilter, change: Partial<FamilyPlan> = {}): Promise<FamilyFirewall> => {
  return startedOn(kernel, { mask: 0, options: NO_MARKS, ...change });
};

describe("connections that are cut without connection marks", () => {
  const { signal } = new AbortController();
  const WEB = "10.2.0.1";
  const flow = (source: string): TrackedFlow => ({
    protocol: "TCP", source, sourcePort: 1_024, server: "10.1.0.5", serverPort: 5432,
  });

  it("forgets the connections that a narrowing denies, and no others", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded([WEB, "10.2.0.2"]), signal);
    kernel.tracked = [flow(WEB), flow("10.2.0.2")];
    await firewall.apply(guarded([WEB]), signal);
    assert.deepEqual(kernel.tracked.map(({ source }) => source), [WEB]);
  });

  it("forgets what a UDP server still answers meanwhile: the client's words would be replies to it", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel);
    await firewall.apply(guarded([WEB, "10.2.0.2"]), signal);
    const asked: TrackedFlow = { ...flow("10.2.0.2"), protocol: "UDP" };
    const answer: TrackedFlow = {
      protocol: "UDP", source: asked.server, sourcePort: asked.serverPort, server: asked.source, serverPort: asked.sourcePort,
    };
    const others: readonly TrackedFlow[] = [
      { ...answer, serverPort: 1_025 }, { ...answer, sourcePort: 53 }, { ...answer, protocol: "TCP" },
    ];
    kernel.tracked = [asked];
    kernel.begun = [answer, ...others];
    await firewall.apply(guarded([WEB]), signal);
    assert.deepEqual(kernel.tracked, others);
  });

  it("keeps what goes to and comes from the node itself, which is not hooked", async () => {
    const kernel = new FakeNetfilter();
    const ownAddresses = new Set(["10.2.0.2"]);
    const firewall = await started(kernel, { ownAddresses });
    await firewall.apply(guarded([WEB, "10.2.0.2"]), signal);
    kernel.tracked = [flow("10.2.0.2")];
    await firewall.apply(guarded([WEB]), signal);
    assert.equal(kernel.tracked.length, 1);
  });

  it("forgets nothing where established connections are kept", async () => {
    const kernel = new FakeNetfilter();
    const firewall = await started(kernel, { options: { ...DEFAULT_OPTIONS, establishedFlows: "Keep" } });
    await firewall.apply(guarded([WEB]), signal);
    kernel.tracked = [flow(WEB)];
    await firewall.apply(guarded([]), signal);
    assert.equal(kernel.tracked.length, 1);
  });

  it("cuts what crosses a bridge by link-local addresses", async () => {
    const kernel = new FakeNetfilter();
    const options = { ...NO_MARKS, bridged: true };
    const firewall = new FamilyFirewall(kernel, "ipv6", { ...PLAN, mask: 0, options });
    await firewall.prepare(signal);
    const pods = { db: { address: "fd00::5" } };
    await firewall.apply(nodeState({ pods }), signal);
    const flow = (source: string, server: string): TrackedFlow => ({
      protocol: "UDP", source, sourcePort: 1_024, server, serverPort: 53,
    });
    kernel.tracked = [flow("fe80::7", "fe80::5"), flow("fd00::7", "fd00::6")];
    await firewall.apply(nodeState({ pods: { db: { ...pods.db, ingress: ["none"] } }, policies: { none: {} } }), signal);
    assert.deepEqual(kernel.tracked, [flow("fd00::7", "fd00::6")]);
  });
});
