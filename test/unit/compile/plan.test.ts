import assert from "node:assert/strict";

import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { SegmentPolicySpec } from "../../../operator/api/segment-policy.ts";
import { compile } from "../../../operator/compile/compile.ts";
import type { Part } from "../../../operator/compile/part.ts";
import { partLabels, plan, type Plan } from "../../../operator/compile/plan.ts";

const owner = { name: "shop", uid: "uid-1" };
const spec = (tiers: SegmentPolicySpec["tiers"]): SegmentPolicySpec => ({
  namespaceSelector: { matchLabels: { a: "b" } }, policyTypes: ["Ingress", "Egress"], defaultDeny: "AllPods", dns: "Deny",
  quarantine: { key: "q", value: undefined }, tiers,
});
const db = { name: "db", podSelector: { matchLabels: { tier: "db" } }, ingress: [], egress: [] };
const parts = compile("shop", spec([db]), { dns: { peers: [], ports: [] } });

/** A part as the API server would return it: empty lists dropped, keys in an order of its own. */
function stored(part: Part, change: { metadata?: object; spec?: object } = {}): NetworkPolicy {
  const { ingress, egress, ...rest } = part.spec;
  return readNetworkPolicy({
    metadata: {
      name: part.name, namespace: "ns", uid: `uid-of-${part.name}`, labels: partLabels(part, owner),
      managedFields: [{ manager: "tierwall", operation: "Apply" }],
      ownerReferences: [{ apiVersion: "tierwall.io/v1alpha1", kind: "SegmentPolicy", name: "shop", uid: "uid-1", controller: true }],
      ...change.metadata,
    },
    spec: { ...(egress.length > 0 && { egress }), ...(ingress.length > 0 && { ingress }), ...rest, ...change.spec },
  });
}

function told({ steps, conflicts }: Plan): readonly string[] {
  const short = (name: string) => name.replace(/^shop-|-[0-9a-f]{8}$/g, "");
  return [
    ...steps.map((step) => `${step.action} ${short(step.action === "delete" ? step.name : step.part.name)}`),
    ...conflicts.map((name) => `conflict ${short(name)}`),
  ];
}

const [quarantine, tier, fallback] = parts as readonly [Part, Part, Part];
const all = [stored(quarantine), stored(tier), stored(fallback)];
const moved = compile("shop", spec([{ ...db, podSelector: { matchLabels: { app: "pg" } } }]), { dns: { peers: [], ports: [] } });
const foreign = { metadata: { managedFields: [{ manager: "kubectl" }], ownerReferences: [], labels: {} } };

describe("plan", () => {
  const cases: readonly { name: string; observed: readonly NetworkPolicy[]; wanted?: readonly Part[]; expected: readonly string[] }[] = [
    { name: "creates in the order quarantine, tiers, default", observed: [], expected: ["create quarantine", "create db", "create default"] },
    { name: "writes nothing when all is as compiled", observed: all, expected: [] },
    { name: "removes in the order default, tiers, quarantine", observed: all, wanted: [], expected: ["delete default", "delete db", "delete quarantine"] },
    { name: "makes the part of a changed selector first and prunes the old one last", observed: all, wanted: moved, expected: ["create db", "delete db"] },
    { name: "puts back what another manager added", observed: [all[0] as NetworkPolicy, stored(tier, { spec: { ingress: [{}] } }), all[2] as NetworkPolicy], expected: ["update db"] },
    { name: "puts back an edited label", observed: [all[0] as NetworkPolicy, stored(tier, { metadata: { labels: { ...partLabels(tier, owner), "tierwall.io/tier": "x" } } }), all[2] as NetworkPolicy], expected: ["update db"] },
    { name: "puts back a policy label that was edited away", observed: [all[0] as NetworkPolicy, stored(tier, { metadata: { labels: { "app.kubernetes.io/managed-by": "tierwall" } } }), all[2] as NetworkPolicy], expected: ["update db"] },
    { name: "adopts by label after a restore gave the SegmentPolicy a new uid", observed: [all[0] as NetworkPolicy, stored(tier, { metadata: { ownerReferences: [] } }), all[2] as NetworkPolicy], expected: ["update db"] },
    { name: "does not touch an equal object that is not ours", observed: [all[0] as NetworkPolicy, stored(tier, foreign), all[2] as NetworkPolicy], expected: ["conflict db"] },
    { name: "does not touch an object that only carries our labels", observed: [all[0] as NetworkPolicy, stored(tier, { metadata: { ...foreign.metadata, labels: partLabels(tier, owner) } }), all[2] as NetworkPolicy], expected: ["conflict db"] },
    { name: "does not prune another SegmentPolicy's objects", observed: [stored(tier, { metadata: { name: "other", labels: partLabels(tier, { name: "other" }), ownerReferences: [] } })], wanted: [], expected: [] },
    { name: "waits for an object that is being deleted", observed: [stored(tier, { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } })], wanted: [], expected: [] },
  ];
  for (const { name, observed, wanted = parts, expected } of cases) {
    it(name, () => assert.deepEqual(told(plan(owner, wanted, observed)), expected));
  }
});
