import assert from "node:assert/strict";

import { parse } from "yaml";

import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NetworkPolicySpec } from "../../../operator/api/network-policy.ts";
import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import type { Pod } from "../../../operator/api/workload.ts";
import type { SurveyedNamespace } from "../../../operator/status/placed-pod.ts";
import { surveySegment, type SegmentSurvey } from "../../../operator/status/segment-survey.ts";

const pod = (name: string, labels: Pod["labels"], change: Partial<Pod> = {}): Pod => ({
  namespace: "shop", name, uid: name, labels, nodeName: "n", addresses: [], hostNetwork: false, finished: false,
  deleting: false, ports: [], ...change,
});
const web = pod("web-1", { tier: "web" });
const db = pod("db-1", { tier: "db" });
const cut = pod("db-2", { tier: "db", "tierwall.io/quarantine": "" });

/** Somebody's own NetworkPolicy; `segment` makes it one that was generated from another SegmentPolicy. */
function other(name: string, spec: string, segment?: string) {
  const managed = { labels: { "tierwall.io/policy": segment }, managedFields: [{ manager: "tierwall" }] };
  return readNetworkPolicy({
    metadata: { namespace: "shop", name, ...(segment !== undefined && managed) }, spec: parse(spec) as unknown,
  });
}

interface Given {
  readonly spec?: string;
  readonly pods?: readonly Pod[];
  readonly others?: SurveyedNamespace["others"];
  readonly generated?: readonly NetworkPolicySpec[];
  readonly labels?: Pod["labels"];
}

const TIERS = "tiers: [{name: web}, {name: db, ingress: [{from: [{tier: web}]}]}]";

function survey({ spec = TIERS, pods = [web, db], others = [], generated = [], labels = {} }: Given): SegmentSurvey {
  const { verdict } = readSegmentPolicy({ metadata: { name: "shop" }, spec: parse(`{namespaceSelector: {matchLabels: {a: b}}, ${spec}}`) as unknown });
  assert.ok(verdict.accepted, verdict.accepted ? "" : verdict.message);
  return surveySegment(verdict.spec, generated, [{ name: "shop", labels, pods, others }]);
}

describe("a look at a segment: counts", () => {
  const cases: readonly { name: string; given: Given; expected: readonly [web: number, db: number, untiered: number, cut: number] }[] = [
    { name: "pods of each tier", given: { pods: [web, db, pod("db-3", { tier: "db" })] }, expected: [1, 2, 0, 0] },
    { name: "pods of no tier", given: { pods: [web, pod("x", {})] }, expected: [1, 0, 1, 0] },
    { name: "pods in quarantine, which are in no tier", given: { pods: [web, cut] }, expected: [1, 0, 0, 1] },
    { name: "neither finished pods", given: { pods: [pod("x", { tier: "db" }, { finished: true })] }, expected: [0, 0, 0, 0] },
    { name: "nor those of the host network, which nothing selects", given: { pods: [pod("x", { tier: "db" }, { hostNetwork: true })] }, expected: [0, 0, 0, 0] },
    { name: "a tier only where it lives", given: { spec: "boundary: Segment, tiers: [{name: web, namespaceSelector: {matchLabels: {z: a}}}, {name: db}]", labels: { z: "b" } }, expected: [0, 1, 1, 0] },
    { name: "no quarantine when it is off", given: { spec: `quarantineLabel: "", ${TIERS}`, pods: [cut] }, expected: [0, 1, 0, 0] },
    { name: "one value of the quarantine label", given: { spec: `quarantineLabel: q=yes, ${TIERS}`, pods: [pod("a", { q: "no" }), pod("b", { q: "yes" })] }, expected: [0, 0, 1, 1] },
  ];
  for (const { name, given, expected } of cases) {
    it(name, () => {
      const { tiers, untieredPods, quarantinedPods } = survey(given);
      assert.deepEqual([...tiers.map(({ pods }) => pods), untieredPods, quarantinedPods], expected);
    });
  }
});

describe("a look at a segment: what to look at", () => {
  const open = other("open", "{podSelector: {}, ingress: [{}]}");
  const dns: NetworkPolicySpec = {
    podSelector: {}, policyTypes: ["Ingress", "Egress"], ingress: [], egress: [{ ports: [{ protocol: "UDP", port: 53 }] }],
  };
  const dnsOfAnother = other("two-default", "{podSelector: {}, policyTypes: [Ingress, Egress], egress: [{ports: [{protocol: UDP, port: 53}]}]}", "two");
  const quarantined = [web, cut];
  const cases: readonly { name: string; given: Given; of: "widenedBy" | "stillTalking" | "ownPods"; says: readonly RegExp[] }[] = [
    { name: "another NetworkPolicy widens it", of: "widenedBy", given: { others: [open] }, says: [/^NetworkPolicy shop\/open$/] },
    { name: "another SegmentPolicy widens it", of: "widenedBy", given: { others: [other("o", "{podSelector: {}, ingress: [{}]}", "two")] }, says: [/^NetworkPolicy shop\/o of SegmentPolicy two$/] },
    { name: "one that only denies does not", of: "widenedBy", given: { others: [other("deny", "{podSelector: {}}")] }, says: [] },
    { name: "one in a direction that is not controlled does not", of: "widenedBy", given: { spec: "policyTypes: [Egress], tiers: []", others: [open] }, says: [] },
    { name: "one that selects none of its pods does not", of: "widenedBy", given: { others: [other("x", "{podSelector: {matchLabels: {a: b}}, ingress: [{}]}")] }, says: [] },
    { name: "one for pods that are in no tier does not, with TierPods", of: "widenedBy", given: { spec: `defaultDeny: TierPods, ${TIERS}`, pods: [pod("x", {})], others: [open] }, says: [] },
    { name: "one that allows only what every part allows does not", of: "widenedBy", given: { others: [dnsOfAnother], generated: [dns] }, says: [] },
    { name: "a pod in quarantine that another policy lets talk", of: "stillTalking", given: { pods: quarantined, others: [open] }, says: [/^pod shop\/db-2 through NetworkPolicy shop\/open$/] },
    { name: "a pod in quarantine on the host network", of: "stillTalking", given: { pods: [pod("h", cut.labels, { hostNetwork: true })] }, says: [/^pod shop\/h is on the host network and cannot be cut off$/] },
    { name: "quarantine that holds", of: "stillTalking", given: { pods: quarantined, others: [other("deny", "{podSelector: {}}")] }, says: [] },
    { name: "own pods named by a podSelector", of: "ownPods", given: { spec: "tiers: [{name: web}, {name: db, ingress: [{from: [{podSelector: {matchLabels: {tier: web}}}]}]}]" }, says: [/^ingress of tier db selects pod shop\/web-1 .*own egress is not opened by that: name its tier$/] },
    { name: "own pods named by a namespaceSelector in egress", of: "ownPods", given: { spec: "tiers: [{name: web, egress: [{to: [{namespaceSelector: {}}]}]}, {name: db}]" }, says: [/^egress of tier web selects pod shop\/web-1 .*own ingress/] },
    { name: "nothing where their side is opened as well", of: "ownPods", given: { spec: "tiers: [{name: web, egress: [{to: [{anywhere: {}}]}]}, {name: db, ingress: [{from: [{podSelector: {matchLabels: {tier: web}}}]}]}]" }, says: [] },
    { name: "nothing where they are named as a tier besides", of: "ownPods", given: { spec: "tiers: [{name: web}, {name: db, ingress: [{from: [{podSelector: {matchLabels: {tier: web}}}, {tier: web}]}]}]" }, says: [] },
    { name: "nothing where one direction is controlled", of: "ownPods", given: { spec: "policyTypes: [Ingress], tiers: [{name: web}, {name: db, ingress: [{from: [{podSelector: {matchLabels: {tier: web}}}]}]}]" }, says: [] },
    { name: "nothing for pods that nothing isolates", of: "ownPods", given: { spec: "defaultDeny: TierPods, tiers: [{name: db, ingress: [{from: [{podSelector: {}}]}]}]", pods: [pod("x", {})] }, says: [] },
  ];
  for (const { name, of, given, says } of cases) {
    it(name, () => {
      const found = survey(given)[of];
      assert.equal(found.length, says.length, found.join("; "));
      for (const [index, pattern] of says.entries()) assert.match(found[index] ?? "", pattern);
    });
  }
});
