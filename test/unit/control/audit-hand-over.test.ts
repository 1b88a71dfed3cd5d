import assert from "node:assert/strict";

import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import type { Namespace } from "../../../operator/api/workload.ts";
import { PolicyView } from "../../../operator/control/policy-view.ts";
import { SegmentPolicyReconciler } from "../../../operator/control/segment-policy-reconciler.ts";
import { FACTS } from "../compile/facts.ts";

const namespace = (name: string, segment: string, terminating = false): [string, Namespace] =>
  [name, { name, uid: name, labels: { segment }, terminating }];
const NAMESPACES = new Map([
  namespace("one", "shop"), namespace("going", "shop", true), namespace("other", "other"),
  namespace("kube-system", "shop"),
]);

/** A replica that does not lead, with one SegmentPolicy, and what it says of it in its order. */
function scene(spec: object, metadata: object = {}) {
  const policy = readSegmentPolicy({
    metadata: { name: "shop", uid: "u", generation: 7, ...metadata },
    spec: { namespaceSelector: { matchLabels: { segment: "shop" } }, tiers: [{ name: "db" }], ...spec },
  });
  const said: string[] = [];
  const writes = () => assert.fail("only the leader writes");
  const reconciler = new SegmentPolicyReconciler({
    cluster: {
      segmentPolicies: new Map([["shop", policy]]), namespaces: NAMESPACES, networkPolicies: new PolicyView(),
      facts: () => FACTS,
    },
    writer: { create: writes, update: writes, reown: writes, remove: writes },
    sink: {
      generation: (_, generation) => void said.push(`generation ${generation}`),
      retired: (_, retired) => void said.push(`retired ${retired}`),
      audit: (_, policies) => {
        const homes = new Set(policies.map((each) => each.metadata.namespace));
        said.push(`audit ${policies.length} in ${[...homes].join()}`);
      },
      outcome: (_, { placed, networkPolicies, namespaces: { matched, applied } }) =>
        void said.push(`placed ${placed}, ${networkPolicies} NetworkPolicies, ${applied}/${matched}`),
      forgotten: () => assert.fail("it is there"),
      driftCorrected: () => assert.fail("nobody has changed anything"),
    },
    excludedNamespaces: new Set(["kube-system"]), isLeader: () => false, monotonic: () => 0,
  });
  return { reconciler, said };
}

const AUDIT = { mode: "Audit" };
/** The tier and the default part in each, also where the last pods end. */
const HANDED_OVER = "audit 4 in one,going";

describe("what a replica says of a SegmentPolicy in mode Audit", () => {
  it("retires what is left and hands over what would be, before it says that the generation is in place", async () => {
    const { reconciler, said } = scene(AUDIT);
    await reconciler.reconcile("shop");
    assert.deepEqual(said,
      ["retired true", HANDED_OVER, "generation 7", "placed true, 0 NetworkPolicies, 1/1"]);
  });

  it("leaves in force what is live while it is suspended, and audits all the same", async () => {
    const { reconciler, said } = scene({ ...AUDIT, suspend: true });
    await reconciler.reconcile("shop");
    assert.deepEqual(said.slice(0, 2), ["retired false", HANDED_OVER]);
  });

  it("says the same of the audit, and nothing else, before any work is done", () => {
    const { reconciler, said } = scene(AUDIT);
    reconciler.prepare("shop");
    assert.deepEqual(said, ["retired true", HANDED_OVER]);
  });

  const idle: readonly (readonly [string, object])[] = [
    ["one that is enforced", {}], ["one that makes no sense", { ...AUDIT, boundary: "None" }],
  ];
  for (const [name, spec] of idle) {
    it(`says nothing before any work of ${name}`, () => {
      const { reconciler, said } = scene(spec);
      reconciler.prepare("shop");
      assert.deepEqual(said, []);
    });
  }

  it("takes the audit back when it is deleted, also before any work is done", async () => {
    for (const way of ["prepare", "reconcile"] as const) {
      const { reconciler, said } = scene(AUDIT, { deletionTimestamp: "2030-01-01T00:00:00Z" });
      await reconciler[way]("shop");
      assert.deepEqual(said, ["generation undefined", "audit 0 in ", "retired true"]);
    }
  });

  it("goes on with it, in mode Enforce, until the NetworkPolicies are in place", async () => {
    const { reconciler, said } = scene({});
    await reconciler.reconcile("shop");
    assert.deepEqual(said.filter((word) => word.startsWith("audit")), []);
    assert.equal(said.at(-1), "placed false, 3 NetworkPolicies, 0/1");
  });

  it("but not while that is suspended", async () => {
    const { reconciler, said } = scene({ suspend: true });
    await reconciler.reconcile("shop");
    assert.ok(said.includes("audit 0 in "));
  });
});
