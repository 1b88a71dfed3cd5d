import assert from "node:assert/strict";
import type { LayoutOptions } from "../../../operator/enforcer/layout/options.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import type { Ruleset } from "../../../operator/enforcer/layout/ruleset.ts";
import type { KernelState } from "../../../operator/enforcer/render/kernel-state.ts";
import { EMPTY_KERNEL } from "../../../operator/enforcer/render/kernel-state.ts";
import { inKernelOrder } from "../../../operator/enforcer/render/leaf-order.ts";
import type { Marks } from "../../../operator/enforcer/render/marks.ts";
import { inForce, plan } from "../../../operator/enforcer/render/plan.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

const MARKS: Marks = { mask: 0xffff0000, generation: 1, state: "one" };

function isolated(addresses: readonly string[], options: LayoutOptions = DEFAULT_OPTIONS): Ruleset {
  return layout(nodeState({
    pods: Object.fromEntries(addresses.map((address) => [`pod-${address}`, { address, ingress: ["db"] }])),
    policies: { db: { ingress: [] } },
  }), "ipv4", options);
}

function reach(kernel: KernelState, wanted: Ruleset) {
  return plan(kernel, inKernelOrder(kernel, wanted, MARKS), MARKS, MARKS);
}

/** The kernel with the lines of its bucket in another order. */
function rearranged(kernel: KernelState, order: (lines: readonly string[]) => readonly string[]): KernelState {
  const chains = [...kernel.chains].map(([name, lines]) => [name, name.startsWith("TW-I-") ? order(lines) : lines] as const);
  return { ...kernel, chains: new Map(chains) };
}

describe("lines for single addresses", () => {
  const three = ["10.1.0.5", "10.1.0.6", "10.1.0.7"];

  it("come first, whatever their address", () => {
    // Without bpf each pod has a line in TW-DROP, too.
    const some = (addresses: readonly string[]) => isolated(addresses, { ...DEFAULT_OPTIONS, lacks: new Set(["bpf"]) });
    const { rules, swept } = reach(reach(EMPTY_KERNEL, some(three.slice(0, 2))).swept, some(three));
    assert.match(rules, /^-I TW-I-\S+ 1 -d 10\.1\.0\.7\/32 -g TW-C\S+$/m);
    assert.match(rules, /^-I TW-DROP 1 -s 10\.1\.0\.7\/32 -d 10\.1\.0\.7\/32 -j RETURN$/m);
    assert.doesNotMatch(rules, /^:TW-I-|^:TW-DROP/m);
    // What the plan says is in force is what stands then.
    assert.match(swept.chains.get("TW-DROP")?.[0] ?? "", /10\.1\.0\.7/);
  });

  it("come first when they are several, the last one first", () => {
    const { rules } = reach(reach(EMPTY_KERNEL, isolated(three.slice(2))).swept, isolated(three));
    const inserted = rules.split("\n").filter((line) => line.startsWith("-I TW-I-")).map((line) => line.split(" ")[4]);
    assert.deepEqual(inserted, ["10.1.0.6/32", "10.1.0.5/32"]);
  });

  it("stay in their order where a packet may match two of them", () => {
    const audited = (port: number) => layout(nodeState({
      pods: { a: { address: "10.1.0.5", audits: [{ policy: "plan", tier: "", ingress: ["plan"] }] } },
      policies: { plan: { ingress: [{ peers: "any", ports: [{ protocol: "TCP", port }] }] } },
    }), "ipv4");
    const { swept } = reach(reach(EMPTY_KERNEL, audited(80)).swept, audited(81));
    const lines = [...swept.chains].find(([name]) => name.startsWith("TW-AI-"))?.[1] ?? [];
    assert.match(lines[0] ?? "", /^-s 10\.1\.0\.5\/32 -d 10\.1\.0\.5\/32 -j RETURN$/, "a pod that talks to itself is never audited");
    assert.equal(lines.length, 2);
  });

  it("are in force in any order", () => {
    const kernel = reach(EMPTY_KERNEL, isolated(three)).swept;
    assert.ok(inForce(reach(rearranged(kernel, (lines) => lines.toReversed()), isolated(three))));
  });

  it("that stand twice are written anew", () => {
    const kernel = rearranged(reach(EMPTY_KERNEL, isolated(three)).swept, (lines) => [...lines, ...lines.slice(0, 1)]);
    assert.match(reach(kernel, isolated(three)).rules, /^:TW-I-/m);
  });

  it("are not in force behind what ends their chain", () => {
    const closing = { ...DEFAULT_OPTIONS, closedNets: ["10.1.0.0/24"] };
    const kernel = reach(EMPTY_KERNEL, isolated(three, closing)).swept;
    const shut = rearranged(kernel, (lines) => [...lines.slice(-1), ...lines.slice(0, -1)]);
    assert.ok(inForce(reach(kernel, isolated(three, closing))));
    assert.match(reach(shut, isolated(three, closing)).rules, /^:TW-I-/m);
  });
});
