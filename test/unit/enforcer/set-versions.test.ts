import assert from "node:assert/strict";
import type { ResolvedPort } from "../../../operator/api/node-state.ts";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import type { Ruleset } from "../../../operator/enforcer/layout/ruleset.ts";
import { chainsOf } from "../../../operator/enforcer/render/chain-lines.ts";
import type { KernelState } from "../../../operator/enforcer/render/kernel-state.ts";
import { EMPTY_KERNEL } from "../../../operator/enforcer/render/kernel-state.ts";
import type { Marks } from "../../../operator/enforcer/render/marks.ts";
import { inForce, plan } from "../../../operator/enforcer/render/plan.ts";
import { withVersions } from "../../../operator/enforcer/render/set-versions.ts";
import type { StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

const MARKS: Marks = { mask: 0xffff0000, generation: 1, state: "s" };
const HTTP: ResolvedPort = { protocol: "TCP", port: 80 };
const SQL: ResolvedPort = { protocol: "TCP", port: 5432 };
const [ONE, TWO] = ["10.2.0.1", "10.2.0.2"];

/** `db` may be reached by `peers` on `ports`; `more` pods are of the same class. */
function guarded(peers: readonly string[], ports = [HTTP], more: StateDraft["pods"] = {}): Ruleset {
  return layout(nodeState({
    pods: { db: { address: "10.1.0.5", ingress: ["db"] }, ...more },
    policies: { db: { ingress: [{ peers: ["peers"], ports }] } },
    peers: { peers },
  }), "ipv4");
}

/** The kernel once `wanted` is in force, and what of it is written. */
function reach(kernel: KernelState, wanted: Ruleset): { readonly kernel: KernelState; readonly fill: string; readonly drain: string } {
  const versioned = withVersions(kernel, wanted, (ruleset) => chainsOf(ruleset, MARKS));
  const { fill, drain, swept } = plan(kernel, versioned, MARKS, MARKS);
  return { fill, drain, kernel: swept };
}

describe("withVersions", () => {
  const start = reach(EMPTY_KERNEL, guarded([ONE])).kernel;
  const isolated = { web: { address: "10.1.0.6", ingress: ["db"] } };
  const copied = /^create (TW-u[0-9a-f]{16}-1) .*\nadd \1 /;
  const cases: readonly (readonly [string, Ruleset, boolean])[] = [
    ["members come", guarded([ONE, TWO]), false],
    ["members go", guarded([]), false],
    ["one comes and one goes", guarded([TWO]), false],
    ["rules change", guarded([ONE], [SQL]), false],
    ["a peer comes while the class that it would be allowed by goes", guarded([ONE, TWO], [SQL]), true],
    ["a peer goes while a class comes that would let it in to more", guarded([], [HTTP, SQL]), true],
    ["one comes for the new ports, another goes", guarded([TWO], [SQL]), true],
    ["a pod comes to the class, and to its peers", guarded([ONE, "10.1.0.6"], [HTTP], isolated), false],
    ["a pod comes to the class while a peer goes", guarded([], [HTTP], isolated), true],
  ];
  for (const [name, wanted, copies] of cases) {
    it(`${copies ? "makes a copy" : "changes in place"} when ${name}`, () => {
      const { fill, drain } = reach(start, wanted);
      const copy = fill.match(/create (\S+)/)?.[1];
      if (!copies) assert.equal(copy, undefined);
      else assert.match(copy ?? "", /^TW-u[0-9a-f]{16}-1$/);
      if (copies) assert.equal(drain, "", "the old one keeps what it has until it is swept up");
    });
  }

  it("fills the copy before anything refers to it, and refers to it from then on", () => {
    const { fill, kernel } = reach(start, guarded([TWO], [SQL]));
    assert.match(fill, copied);
    assert.match(fill, / 10\.2\.0\.2\n$/);
    const names = [...kernel.sets.keys()];
    assert.equal(names.length, 1);
    const lines = [...kernel.chains.values()].flat().filter((line) => line.includes("--match-set"));
    assert.ok(lines.every((line) => line.includes(` ${names[0]} `)));
    const again = withVersions(kernel, guarded([TWO], [SQL]), (ruleset) => chainsOf(ruleset, MARKS));
    assert.ok(inForce(plan(kernel, again, MARKS, MARKS)), "a start afterwards finds everything in place");
  });

  it("counts on from copy to copy", () => {
    const once = reach(start, guarded([TWO], [SQL])).kernel;
    const twice = reach(once, guarded([ONE], [HTTP])).kernel;
    assert.match([...twice.sets.keys()][0] ?? "", /-2$/);
  });
});
