import assert from "node:assert/strict";

import { generatedFrom } from "../../../operator/api/network-policy.ts";
import { compile } from "../../../operator/compile/compile.ts";
import { partsIn } from "../../../operator/compile/part.ts";
import { wouldBe } from "../../../operator/compile/would-be.ts";
import { FACTS } from "./facts.ts";
import { specOf } from "./specs.ts";

const TIERS = "tiers: [{name: web, namespaceSelector: {matchLabels: {zone: a}}}, {name: db}]";
const NAMESPACES = [{ name: "one", labels: { s: "shop", zone: "a" } }, { name: "two", labels: { s: "shop" } }];
const parts = (mode: string) =>
  compile("shop", specOf(`{namespaceSelector: {matchLabels: {s: shop}}, boundary: Segment, ${mode}, ${TIERS}}`), FACTS);

describe("what an audited SegmentPolicy would write", () => {
  it("is each part in each namespace that it would live in, as one of ours", () => {
    const audited = parts("mode: Audit");
    const policies = wouldBe({ name: "shop" }, audited, NAMESPACES);
    const expected = NAMESPACES.flatMap(({ name, labels }) =>
      partsIn(audited, labels).map((part) => ({ namespace: name, name: part.name, spec: part.spec })));
    assert.deepEqual(policies.map(({ metadata: { namespace, name }, spec }) => ({ namespace, name, spec })), expected);
    assert.deepEqual(policies.map(({ metadata: { namespace, labels } }) => [namespace, labels["tierwall.io/tier"]]), [
      ["one", "db"], ["one", "web"], ["one", undefined], ["two", "db"], ["two", undefined],
    ]);
    assert.ok(policies.every((policy) => generatedFrom(policy) === "shop"));
  });

  it("is what would be enforced, without the quarantine", () => {
    assert.deepEqual(parts("mode: Audit"), parts(`mode: Enforce, quarantineLabel: ""`));
    assert.notDeepEqual(parts("mode: Audit"), parts("mode: Enforce"));
  });
});
