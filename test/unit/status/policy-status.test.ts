import assert from "node:assert/strict";

import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import type { SegmentPolicy, SegmentPolicyStatus } from "../../../operator/api/segment-policy.ts";
import { judgeEnforcement, type NodeEvidence } from "../../../operator/status/enforcement.ts";
import { policyStatus, type Outcome } from "../../../operator/status/policy-status.ts";
import type { SegmentSurvey } from "../../../operator/status/segment-survey.ts";
import type { WarningInput } from "../../../operator/status/warnings.ts";

const NOW = Date.parse("2026-01-01T00:10:00Z");
const now = "2026-01-01T00:10:00Z";

function policy(spec: object, status: object = {}): SegmentPolicy {
  return readSegmentPolicy({ metadata: { name: "shop", generation: 3 }, spec: { namespaceSelector: { matchLabels: { a: "b" } }, ...spec }, status });
}

const outcome: Outcome = {
  generation: 3, namespaces: { matched: 2, applied: 2 }, networkPolicies: 10, placed: true, conflicts: [], leaving: [], failures: [], unknownFacts: [],
  suspended: false, staleFacts: [], tooManyNodeAddresses: [], disagreements: [],
};

function node(name: string, change: Partial<NodeEvidence> & { confirmed?: number; state?: "Enforced" | "Failed"; revision?: string } = {}): NodeEvidence {
  const { confirmed, state = "Enforced", revision = "r", ...rest } = change;
  const policies = confirmed === undefined ? [] : [{ name: "shop", generation: confirmed, revision, state, message: "iptables-restore: line 3 failed" }];
  return {
    name, ready: true, createdAt: 0, expected: { generation: 3, revision: "r" }, pendingSince: NOW - 1_000,
    report: { name, uid: "u", status: { conditions: [], policies } }, ...rest,
  };
}

/** The conditions in one line each, `Type=Status/Reason`. */
function told(status: SegmentPolicyStatus): readonly string[] {
  return status.conditions.map(({ type, status: value, reason }) => `${type}=${value}/${reason}`);
}

const look = (pods: number): Omit<WarningInput, "outcome"> => ({
  survey: {
    tiers: [{ name: "db", pods }], untieredPods: 2, quarantinedPods: 0, widenedBy: [], stillTalking: [], ownPods: [],
  },
  unreadable: [], addressless: [],
});
const GRACE = { newcomerMs: 30_000, newNodeMs: 300_000 };
const judge = (nodes: readonly NodeEvidence[], wasEnforced = false) => judgeEnforcement("shop", nodes, wasEnforced, GRACE, NOW);
const good = [node("a", { confirmed: 3 }), node("b", { confirmed: 3 })];

describe("policy status", () => {
  const cases: { name: string; given?: SegmentPolicy; outcome?: Partial<Outcome>; nodes?: readonly NodeEvidence[] | "unmanaged"; pods?: number; expected: readonly string[] }[] = [
    { name: "is Ready once every node has confirmed", expected: ["Ready=True/Enforced", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=True/Enforced"] },
    { name: "waits while a node has confirmed an older generation", nodes: [node("a", { confirmed: 3 }), node("b", { confirmed: 2 })], expected: ["Ready=False/WaitingForNodes", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/WaitingForNodes", "Reconciling=True/Progressing"] },
    { name: "waits while a node has confirmed other rules of the same generation", nodes: [node("a", { confirmed: 3, revision: "old" })], expected: ["Ready=False/WaitingForNodes", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/WaitingForNodes", "Reconciling=True/Progressing"] },
    { name: "does not wait for a node that is not ready", nodes: [node("a", { confirmed: 3 }), node("b", { ready: false })], expected: ["Ready=True/Enforced", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=True/Enforced"] },
    { name: "is Degraded when a node reports a failure", nodes: [node("a", { confirmed: 3 }), node("b", { confirmed: 3, state: "Failed" })], expected: ["Ready=False/NodesFailing", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/NodesFailing", "Reconciling=True/ProgressingWithRetry", "Degraded=True/NodesFailing"] },
    { name: "is Ready without asking nodes when the CNI enforces", nodes: "unmanaged", expected: ["Ready=True/Applied", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=Unknown/NotManaged"] },
    { name: "is in progress while NetworkPolicies are being written", outcome: { placed: false, namespaces: { matched: 2, applied: 1 } }, expected: ["Ready=False/Progressing", "Accepted=True/Valid", "PoliciesApplied=False/Progressing", "Enforced=False/Progressing", "Reconciling=True/Progressing"] },
    { name: "retries when a namespace refuses", outcome: { placed: false, failures: [{ namespace: "x", message: "quota" }] }, expected: ["Ready=False/WriteFailed", "Accepted=True/Valid", "PoliciesApplied=False/WriteFailed", "Enforced=False/Progressing", "Reconciling=True/ProgressingWithRetry"] },
    { name: "names a NetworkPolicy that is in the way", outcome: { placed: false, conflicts: ["ns/shop-db-1"] }, expected: ["Ready=False/NameConflict", "Accepted=True/Valid", "PoliciesApplied=False/NameConflict", "Enforced=False/Progressing", "Reconciling=True/ProgressingWithRetry", "Warnings=True/NameConflict"] },
    { name: "is Stalled for a field that is not built yet", given: policy({ assertions: [{}] }), expected: ["Ready=False/NotImplemented", "Accepted=False/NotImplemented", "PoliciesApplied=False/NotImplemented", "Enforced=False/NotImplemented", "Stalled=True/NotImplemented"] },
    { name: "warns of a tier without pods and stays Ready", pods: 0, expected: ["Ready=True/Enforced", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=True/Enforced", "Warnings=True/TierWithoutPods"] },
  ];
  const suspended = { suspended: true, placed: false, namespaces: { matched: 2, applied: 1 } };
  cases.push(
    { name: "is Ready and Suspended while what is live is what would be written", outcome: { suspended: true }, expected: ["Ready=True/Suspended", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=True/Enforced"] },
    { name: "is Stalled while it is suspended and something would have to be written", outcome: suspended, expected: ["Ready=False/Suspended", "Accepted=True/Valid", "PoliciesApplied=False/Suspended", "Enforced=False/Suspended", "Stalled=True/Suspended"] },
    { name: "is Stalled while it is suspended and a name is taken", outcome: { ...suspended, conflicts: ["ns/x"] }, expected: ["Ready=False/Suspended", "Accepted=True/Valid", "PoliciesApplied=False/NameConflict", "Enforced=False/Suspended", "Stalled=True/Suspended", "Warnings=True/NameConflict"] },
    { name: "waits for nodes also while it is suspended", outcome: { suspended: true }, nodes: [node("a", { confirmed: 2 })], expected: ["Ready=False/WaitingForNodes", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/WaitingForNodes", "Reconciling=True/Progressing"] },
  );
  const audit = policy({ mode: "Audit" });
  const leaving = { placed: false, namespaces: { matched: 2, applied: 1 } };
  cases.push(
    { name: "Audit: is Ready once every node has confirmed, and says that nothing is enforced", given: audit, expected: ["Ready=True/Auditing", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/Auditing"] },
    { name: "Audit: is Ready where there are no pods yet", given: audit, nodes: [], expected: ["Ready=True/Auditing", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/Auditing"] },
    { name: "Audit: waits for a node that has not confirmed", given: audit, nodes: [node("a", { confirmed: 2 })], expected: ["Ready=False/WaitingForNodes", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/WaitingForNodes", "Reconciling=True/Progressing"] },
    { name: "Audit: is Degraded when a node cannot", given: audit, nodes: [node("a", { confirmed: 3, state: "Failed" })], expected: ["Ready=False/NodesFailing", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/NodesFailing", "Reconciling=True/ProgressingWithRetry", "Degraded=True/NodesFailing"] },
    { name: "Audit: is in progress while NetworkPolicies are being taken away", given: audit, outcome: leaving, expected: ["Ready=False/Progressing", "Accepted=True/Valid", "PoliciesApplied=False/Progressing", "Enforced=False/Progressing", "Reconciling=True/Progressing"] },
    { name: "Audit: is Stalled where enforcement is left to the CNI", given: audit, nodes: "unmanaged", expected: ["Ready=False/AuditNeedsEnforcer", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=Unknown/NotManaged", "Stalled=True/AuditNeedsEnforcer"] },
    { name: "Audit: but takes away first what there is", given: audit, nodes: "unmanaged", outcome: leaving, expected: ["Ready=False/Progressing", "Accepted=True/Valid", "PoliciesApplied=False/Progressing", "Enforced=Unknown/NotManaged", "Reconciling=True/Progressing"] },
    { name: "Audit: is Ready and Suspended where nothing would be written", given: audit, outcome: { suspended: true }, expected: ["Ready=True/Suspended", "Accepted=True/Valid", "PoliciesApplied=True/Applied", "Enforced=False/Auditing"] },
    { name: "Audit: is Stalled while it is suspended and NetworkPolicies are left", given: audit, outcome: suspended, expected: ["Ready=False/Suspended", "Accepted=True/Valid", "PoliciesApplied=False/Suspended", "Enforced=False/Suspended", "Stalled=True/Suspended"] },
  );
  for (const { name, given = policy({}), outcome: change = {}, nodes = good, pods = 1, expected } of cases) {
    it(name, () => {
      const enforcement = nodes === "unmanaged" ? undefined : judge(nodes);
      const status = policyStatus(given, { outcome: { ...outcome, ...change }, enforcement, ...look(pods) }, now);
      assert.deepEqual(told(status), expected);
      assertContract(status);
    });
  }

  it("says in one sentence what holds where", () => {
    const status = policyStatus(policy({}), { outcome, enforcement: judge(good), ...look(1) }, now);
    assert.equal(status.conditions[0]?.message, "10 policies in 2 namespaces, enforced on 2 of 2 nodes");
    assert.equal(status.nodes?.summary, "2/2");
  });

  it("names what a finalizer holds, and waits for it", () => {
    const change = { placed: false, leaving: ["a/shop-db-1", "b/shop-db-1"] };
    const said = (given: SegmentPolicy) => {
      const status = policyStatus(given, { outcome: { ...outcome, ...change }, enforcement: judge(good), ...look(1) }, now);
      return status.conditions.filter(({ type }) => type === "Ready" || type === "Reconciling").map(({ reason, message }) => `${reason}: ${message}`);
    };
    const held = "; a finalizer still holds NetworkPolicy a/shop-db-1 and 1 more, which is being deleted";
    const enforce = `Progressing: NetworkPolicies are in place in 2 of 2 namespaces${held}`;
    const audit = `Progressing: NetworkPolicies from before mode: Audit are being taken away${held}`;
    assert.deepEqual([...said(policy({})), ...said(policy({ mode: "Audit" }))], [enforce, enforce, audit, audit]);
  });

  it("says of an audit what is asked where, and that nothing is enforced", () => {
    const of = (nodes: readonly NodeEvidence[]) => policyStatus(policy({ mode: "Audit" }), { outcome, enforcement: judge(nodes), ...look(1) }, now).conditions[0]?.message;
    assert.equal(of([...good, node("c", { confirmed: 3 })]), "would-be rules of 2 namespaces audited on 3 of 3 nodes; nothing is enforced");
    assert.equal(of([...good, node("c", { ready: false })]), "would-be rules of 2 namespaces audited on 2 of 3 nodes, 1 node unreachable; nothing is enforced");
    assert.equal(of([]), "would-be rules of 2 namespaces, no pods yet; nothing is enforced");
  });

  it("moves lastTransitionTime only with the status of the condition", () => {
    const earlier = "2025-12-31T00:00:00Z";
    const before = policy({}, { conditions: [
      { type: "Ready", status: "True", reason: "Other", message: "", lastTransitionTime: earlier },
      { type: "Enforced", status: "False", reason: "x", message: "", lastTransitionTime: earlier },
    ] });
    const status = policyStatus(before, { outcome, enforcement: judge(good), ...look(1) }, now);
    const timeOf = (type: string) => status.conditions.find((condition) => condition.type === type)?.lastTransitionTime;
    assert.deepEqual([timeOf("Ready"), timeOf("Enforced")], [earlier, now]);
  });
});

describe("warnings", () => {
  const warned = (change: Partial<Outcome>, seen: Partial<SegmentSurvey> = {}, rest: { unreadable?: readonly string[]; addressless?: readonly string[] } = {}) => {
    const { survey, ...others } = look(1);
    const input = { outcome: { ...outcome, ...change }, enforcement: judge(good), ...others, ...rest, survey: { ...survey, ...seen } };
    const { conditions } = policyStatus(policy({}), input, now);
    assert.equal(conditions.find(({ type }) => type === "Ready")?.status, "True");
    return conditions.find(({ type }) => type === "Warnings");
  };
  const cases = [
    { reason: "UnknownFacts", found: warned({ unknownFacts: ["the address"] }), says: "not known yet: the address" },
    { reason: "UnknownFacts", found: warned({}, {}, { addressless: ["Pod a/b: no IP address: x"] }), says: "not known yet: Pod a/b: no IP address: x" },
    { reason: "UnknownFacts", found: warned({ staleFacts: ["the address"] }), says: "what was last known holds: the address" },
    { reason: "TooManyNodeAddresses", found: warned({ tooManyNodeAddresses: ["all: 1001 blocks"] }), says: "all: 1001 blocks" },
    { reason: "NoNamespaceMatches", found: warned({ namespaces: { matched: 0, applied: 0 } }), says: "no namespace matches" },
    { reason: "WidenedByOthers", found: warned({}, { widenedBy: ["NetworkPolicy a/b"] }), says: "allowed more by: NetworkPolicy a/b" },
    { reason: "RulesDisagree", found: warned({ disagreements: ["web to db: …"] }), says: "web to db" },
    { reason: "OwnPodsAsForeignPeer", found: warned({}, { ownPods: ["ingress of tier db …"] }), says: "ingress of tier db" },
    { reason: "QuarantinedStillTalks", found: warned({}, { stillTalking: ["pod a/b through …"] }), says: "not cut off: pod a/b" },
    { reason: "UnreadableNetworkPolicy", found: warned({}, {}, { unreadable: ["NetworkPolicy a/b: …"] }), says: "in part only: NetworkPolicy a/b" },
  ];
  for (const { reason, found, says } of cases) {
    it(`names ${reason}, and stays Ready`, () => {
      assert.equal(found?.reason, reason);
      assert.ok(found.message.includes(says), found.message);
    });
  }

  it("takes its reason from the worst, and names all", () => {
    const both = warned({ unknownFacts: ["x"] }, { stillTalking: ["pod a/b"], widenedBy: ["p"] });
    assert.equal(both?.reason, "QuarantinedStillTalks");
    assert.match(both.message, /pod a\/b; .*: p; not known yet: x$/);
  });

  it("names at most five of a kind, and says how many more there are", () => {
    const many = Array.from({ length: 7 }, (_, index) => `p${index}`);
    assert.match(warned({}, { widenedBy: many })?.message ?? "", /p0, p1, p2, p3, p4 and 2 more$/);
  });
});

describe("enforcement", () => {
  it("stays enforced while a newcomer is within its grace, and not a moment longer", () => {
    const late = (ms: number) => judge([node("a", { confirmed: 3 }), node("b", { pendingSince: NOW - ms })], true);
    assert.deepEqual([late(29_999).enforced, late(30_000).enforced, late(30_000).degraded], [true, false, true]);
    assert.equal(late(10_000).nextChangeAt, NOW + 20_000);
  });

  it("says the same of a node that does not confirm, however long that lasts", () => {
    const at = (laterMs: number) => judgeEnforcement("shop", [node("b", { pendingSince: NOW })], true, GRACE, NOW + laterMs).nodes.failing;
    const expected = [{ name: "b", reason: "has not confirmed generation 3, due since 2026-01-01T00:10:00Z" }];
    for (const laterMs of [30_000, 60_000, 3_600_000]) assert.deepEqual(at(laterMs), expected);
  });

  it("gives a Node that has just joined five minutes", () => {
    const { degraded } = judge([node("b", { pendingSince: NOW - 60_000, createdAt: NOW - 100_000 })], true);
    assert.equal(degraded, false);
  });

  it("names at most five nodes, the failing before the unreachable", () => {
    const many = Array.from({ length: 8 }, (_, index) => node(`n${index}`, index < 4 ? { ready: false } : { confirmed: 3, state: "Failed" }));
    assert.deepEqual(judge(many).nodes.failing.map(({ name }) => name), ["n4", "n5", "n6", "n7", "n0"]);
  });
});

function assertContract({ conditions, observedGeneration }: SegmentPolicyStatus): void {
  const types = conditions.map(({ type }) => type);
  assert.equal(new Set(types).size, types.length, "a type appears once");
  assert.ok(types.includes("Ready"));
  assert.ok(!(types.includes("Reconciling") && types.includes("Stalled")));
  assert.ok(conditions.every((condition) => condition.observedGeneration === observedGeneration));
}
