import assert from "node:assert/strict";

import fc from "fast-check";

import { compile } from "../../../operator/compile/compile.ts";
import type { Facts } from "../../../operator/compile/facts.ts";
import { holdLive } from "../../../operator/compile/held-rules.ts";
import type { Part } from "../../../operator/compile/part.ts";
import { FACTS, NO_FACTS } from "./facts.ts";
import { specOf } from "./specs.ts";
import { OWNER, stored } from "./stored.ts";
import { specs } from "./worlds.ts";

const SPEC = `
namespaceSelector: {matchLabels: {s: shop}}
tiers:
- name: web
  ingress:
  - from: [{nodes: {}}, {tier: web}]
    ports: [{port: 80}]
  egress:
  - to: [{kubeAPIServer: {}}]
  - to: [{ipBlock: {cidr: 198.51.100.0/24}}]
`;

function partOf(kind: Part["kind"], yaml: string, facts: Facts): Part {
  const found = compile(OWNER.name, specOf(yaml), facts).find((part) => part.kind === kind);
  assert.ok(found);
  return found;
}

describe("holding live rules while facts are not known", () => {
  it("changes nothing of any policy that was written when they were", () => {
    fc.assert(fc.property(specs, (spec) => {
      const [before, after] = [compile("shop", spec, FACTS), compile("shop", spec, NO_FACTS)];
      for (const [index, part] of after.entries()) {
        const known = before[index];
        // Facts that were never known leave nothing to hold.
        if (known === undefined || known.gaps.length > 0) continue;
        assert.deepEqual(holdLive(part, stored(known)).spec, known.spec);
      }
    }));
  });

  const cases: readonly { name: string; kind?: Part["kind"]; live: string; held: readonly string[] }[] = [
    { name: "holds the API server's endpoints and the nodes", live: SPEC, held: ["10.244.0.0/31", "192.168.0.2/32", "192.168.0.3/32", "10.96.0.10/32"] },
    { name: "holds the address of DNS in the default part", kind: "default", live: SPEC, held: ["10.96.0.10/32"] },
    { name: "takes over edits of other rules", live: SPEC.replace("198.51.100.0/24", "203.0.113.0/24"), held: ["198.51.100.0/24", "192.168.0.2/32"] },
  ];
  for (const { name, kind = "tier", live, held } of cases) {
    it(name, () => {
      const text = JSON.stringify(holdLive(partOf(kind, SPEC, NO_FACTS), stored(partOf(kind, live, FACTS))).spec);
      for (const cidr of held) assert.ok(text.includes(cidr), `${cidr} in ${text}`);
      assert.ok(!text.includes("203.0.113.0/24"), "what was taken out of the policy is not held");
    });
  }

  const refused: readonly { name: string; rule: object }[] = [
    { name: "a rule without peers", rule: {} },
    { name: "a rule for pods", rule: { to: [{ podSelector: {} }] } },
    { name: "a block with a hole, which no fact has", rule: { to: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] } }] } },
    { name: "other ports", rule: { to: [{ ipBlock: { cidr: "192.0.2.1/32" } }], ports: [{ protocol: "UDP", port: 99 }] } },
  ];
  for (const { name, rule } of refused) {
    it(`does not hold ${name}`, () => {
      const part = partOf("tier", SPEC, NO_FACTS);
      assert.deepEqual(holdLive(part, stored(part, { spec: { egress: [...part.spec.egress, rule] } })).spec, part.spec);
    });
  }

  it("holds nothing where every fact is known", () => {
    const part = partOf("tier", SPEC, FACTS);
    assert.equal(holdLive(part, stored(part, { spec: { egress: [{}] } })), part);
  });
});
