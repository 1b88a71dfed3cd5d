import assert from "node:assert/strict";

import fc from "fast-check";

import type { SegmentPolicySpec, TierRule } from "../../../operator/api/segment-policy.ts";
import { compile } from "../../../operator/compile/compile.ts";
import { partName } from "../../../operator/compile/part-name.ts";
import type { PartIdentity } from "../../../operator/compile/part.ts";
import { plan } from "../../../operator/compile/plan.ts";
import { FACTS as facts, NO_FACTS } from "./facts.ts";
import { specOf } from "./specs.ts";
import { OWNER, stored } from "./stored.ts";
import { specs } from "./worlds.ts";

const json = (spec: SegmentPolicySpec): string => JSON.stringify(compile(OWNER.name, spec, facts));

describe("compile: properties", () => {
  it("gives the same bytes whatever the order of tiers, rules, peers and ports, and however often it is written", () => {
    fc.assert(fc.property(specs, (spec) => {
      const turned = (list: readonly TierRule[]): readonly TierRule[] => [...list, ...list].toReversed().map((rule) => ({
        peers: rule.peers.toReversed(), ports: rule.ports === "any" ? "any" : [...rule.ports, ...rule.ports].toReversed(),
      }));
      const tiers = spec.tiers.toReversed()
        .map((tier) => ({ ...tier, ingress: turned(tier.ingress), egress: turned(tier.egress) }));
      assert.equal(json({ ...spec, tiers }), json(spec));
    }));
  });

  it("is read back as it was written: a second plan writes nothing", () => {
    fc.assert(fc.property(specs, (spec) => {
      const parts = compile(OWNER.name, spec, facts);
      assert.deepEqual(plan(OWNER, parts, parts.map((part) => stored(part))), { steps: [], conflicts: [], leaving: [] });
    }));
  });

  it("never leaves a list empty inside a rule: there it would mean any", () => {
    fc.assert(fc.property(specs, fc.constantFrom(facts, NO_FACTS), (spec, known) => {
      for (const part of compile("p", spec, known)) {
        for (const rule of part.spec.ingress) assert.ok(rule.from?.length !== 0 && rule.ports?.length !== 0);
        for (const rule of part.spec.egress) assert.ok(rule.to?.length !== 0 && rule.ports?.length !== 0);
      }
    }));
  });

  it("keeps quarantined pods out of every part but quarantine", () => {
    fc.assert(fc.property(specs.filter(({ quarantine }) => quarantine !== undefined), (spec) => {
      for (const part of compile("p", spec, facts).filter(({ kind }) => kind !== "quarantine")) {
        const keys = part.spec.podSelector.matchExpressions?.map(({ key, operator }) => `${operator} ${key}`) ?? [];
        assert.ok(keys.some((text) => text.endsWith(spec.quarantine?.key ?? "?")), keys.join());
      }
    }));
  });

  it("leaves the DNS rule out while nobody is known to ask: an empty peer list would allow everyone", () => {
    const dns = { peers: [], ports: [53], unknown: ["who answers"], stale: [] };
    const parts = compile("p", specOf("namespaceSelector: {matchLabels: {a: b}}"), { ...facts, dns });
    assert.deepEqual(parts.map(({ spec: { egress } }) => egress), [[], []]);
  });
});

describe("compile: names", () => {
  const nameOf = (policy: string, change: Partial<PartIdentity> = {}): string =>
    partName({ policy, kind: "tier", tier: "db", podSelector: { matchLabels: { tier: "db" } }, ...change });

  it("are one for one part, in whatever order its selector is written", () => {
    const a = { matchLabels: { a: "1", b: "2" }, matchExpressions: [{ key: "c", operator: "In", values: ["x", "y"] }] } as const;
    const b = { matchExpressions: [{ key: "c", operator: "In", values: ["y", "x", "y"] }], matchLabels: { b: "2", a: "1" } } as const;
    assert.equal(nameOf("p", { podSelector: a }), nameOf("p", { podSelector: b }));
  });

  it("tell a tier called default from the default part", () => {
    assert.notEqual(nameOf("p", { tier: "default", podSelector: {} }), partName({ policy: "p", kind: "default", podSelector: {} }));
  });

  it("are unique over 10,000 policies with long names, and object names of at most 63 characters", () => {
    const names = Array.from({ length: 10_000 }, (_, index) => {
      const policy = `${"long.name-".repeat(4).slice(0, 40 - `${index}`.length)}${index}`;
      return ["db", "web"].map((tier) => nameOf(policy, { tier: `${tier}-${"a".repeat(27)}`.slice(0, 30) }));
    }).flat();
    assert.equal(new Set(names).size, 20_000);
    for (const name of names) assert.match(name, /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
  });
});
