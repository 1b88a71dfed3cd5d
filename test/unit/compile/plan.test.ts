import assert from "node:assert/strict";

import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { SegmentPolicySpec } from "../../../operator/api/segment-policy.ts";
import { compile } from "../../../operator/compile/compile.ts";
import type { Part } from "../../../operator/compile/part.ts";
import { partLabels, plan, type Plan } from "../../../operator/compile/plan.ts";
import { FACTS } from "./facts.ts";
import { OWNER, stored } from "./stored.ts";

const spec = (tiers: SegmentPolicySpec["tiers"]): SegmentPolicySpec => ({
  namespaceSelector: { matchLabels: { a: "b" } }, boundary: "Namespace", policyTypes: ["Ingress", "Egress"],
  defaultDeny: "AllPods", dns: "Deny", quarantine: { key: "q", value: undefined }, mode: "Enforce",
  suspend: false, tiers,
});
const db = { name: "db", podSelector: { matchLabels: { tier: "db" } }, ingress: [], egress: [] };
const parts = compile("shop", spec([db]), FACTS);

function told({ steps, conflicts, leaving }: Plan): readonly string[] {
  const short = (name: string) => name.replace(/^shop-|-[0-9a-f]{8}$/g, "");
  return [
    ...steps.map((step) => `${step.action} ${short(step.action === "delete" ? step.name : step.part.name)}`),
    ...conflicts.map((name) => `conflict ${short(name)}`),
    ...leaving.map((name) => `leaving ${short(name)}`),
  ];
}

/** The whole of a policy that controls `types`, with `change`; compiled for the tier "db". */
function controlling(types: SegmentPolicySpec["policyTypes"], change: Partial<SegmentPolicySpec> = {}): readonly Part[] {
  return compile("shop", { ...spec([db]), policyTypes: types, ...change }, FACTS);
}

const [quarantine, tier, fallback] = parts as readonly [Part, Part, Part];
const all = [stored(quarantine), stored(tier), stored(fallback)];
const moved = compile("shop", spec([{ ...db, podSelector: { matchLabels: { app: "pg" } } }]), FACTS);
/** A tier of all pods beside the tier "db", and both of them while they are wide open. */
const sharing = compile("shop", spec([db, { name: "all", podSelector: {}, ingress: [], egress: [] }]), FACTS);
const opened = sharing.filter(({ kind }) => kind === "tier")
  .map((part): Part => ({ ...part, spec: { ...part.spec, ingress: [{}], egress: [{}] } }));
const foreign = { metadata: { managedFields: [{ manager: "kubectl" }], ownerReferences: [], labels: {} } };

describe("plan", () => {
  const cases: readonly { name: string; observed: readonly NetworkPolicy[]; wanted?: readonly Part[]; expected: readonly string[] }[] = [
    { name: "creates in the order quarantine, tiers, default", observed: [], expected: ["create quarantine", "create db", "create default"] },
    { name: "writes nothing when all is as compiled", observed: all, expected: [] },
    { name: "removes in the order default, tiers, quarantine", observed: all, wanted: [], expected: ["delete default", "delete db", "delete quarantine"] },
    { name: "makes the part of a changed selector first and prunes the old one last", observed: all, wanted: moved, expected: ["create db", "delete db"] },
    { name: "puts back what another manager added", observed: [all[0] as NetworkPolicy, stored(tier, { spec: { ingress: [{}] } }), all[2] as NetworkPolicy], expected: ["update db"] },
    { name: "puts back an edited label", observed: [all[0] as NetworkPolicy, stored(tier, { metadata: { labels: { ...partLabels(tier, OWNER), "tierwall.io/tier": "x" } } }), all[2] as NetworkPolicy], expected: ["update db"] },
    { name: "puts back a policy label that was edited away", observed: [all[0] as NetworkPolicy, stored(tier, { metadata: { labels: { "app.kubernetes.io/managed-by": "tierwall" } } }), all[2] as NetworkPolicy], expected: ["update db"] },
    { name: "puts back field managers that were wiped, which make it count as ours", observed: all.map((policy) => ({ ...policy, metadata: { ...policy.metadata, managers: [] } })), expected: ["update quarantine", "update db", "update default"] },
    { name: "adopts by label after a restore gave the SegmentPolicy a new uid", observed: [all[0] as NetworkPolicy, stored(tier, { metadata: { ownerReferences: [] } }), all[2] as NetworkPolicy], expected: ["update db"] },
    { name: "lets default go of a direction before the tiers", observed: all, wanted: controlling(["Ingress"]), expected: ["update default", "update db"] },
    { name: "adds a direction to the tiers before default", observed: controlling(["Ingress"]).map((part) => stored(part)), expected: ["update db", "update default"] },
    { name: "swaps directions with default out of the way", observed: controlling(["Ingress"]).map((part) => stored(part)), wanted: controlling(["Egress"]), expected: ["update default", "update db", "update default"] },
    { name: "has default let go of a direction before it is taken away", observed: all, wanted: controlling(["Ingress"], { defaultDeny: "TierPods" }), expected: ["update default", "update db", "delete default"] },
    { name: "takes default away last where it goes alone", observed: all, wanted: controlling(["Ingress", "Egress"], { defaultDeny: "TierPods", dns: "Allow" }), expected: ["update db", "delete default"] },
    { name: "makes everything anew before it takes the old away when the quarantine label changes", observed: all, wanted: controlling(["Ingress", "Egress"], { quarantine: { key: "x", value: undefined } }), expected: ["create quarantine", "create db", "create default", "delete default", "delete db", "delete quarantine"] },
    { name: "opens tiers that share pods before it narrows them, when nothing isolates those yet", observed: [], wanted: sharing, expected: ["create quarantine", "create all", "create db", "update all", "update db", "create default"] },
    { name: "makes tiers that share pods at once where default isolates them already", observed: [stored(quarantine), stored(fallback)], wanted: sharing, expected: ["create all", "create db"] },
    { name: "goes on where a roll-out of tiers that share pods was broken off", observed: opened.map((part) => stored(part)), wanted: sharing, expected: ["create quarantine", "update all", "update db", "create default"] },
    { name: "does not touch an equal object that is not ours", observed: [all[0] as NetworkPolicy, stored(tier, foreign), all[2] as NetworkPolicy], expected: ["conflict db"] },
    { name: "does not touch an object that only carries our labels", observed: [all[0] as NetworkPolicy, stored(tier, { metadata: { ...foreign.metadata, labels: partLabels(tier, OWNER) } }), all[2] as NetworkPolicy], expected: ["conflict db"] },
    { name: "does not prune another SegmentPolicy's objects", observed: [stored(tier, { metadata: { name: "other", labels: partLabels(tier, { name: "other" }), ownerReferences: [] } })], wanted: [], expected: [] },
    { name: "waits for an object that is being deleted", observed: [stored(tier, { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } })], wanted: [], expected: ["leaving db"] },
  ];
  for (const { name, observed, wanted = parts, expected } of cases) {
    it(name, () => assert.deepEqual(told(plan(OWNER, wanted, observed)), expected));
  }
});
