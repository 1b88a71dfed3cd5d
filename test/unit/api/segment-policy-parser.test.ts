import assert from "node:assert/strict";

import { parse } from "yaml";

import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";

function verdict(yaml: string): string {
  const spec: unknown = parse(`{namespaceSelector: {matchLabels: {a: b}}, ${yaml}}`);
  const judged = readSegmentPolicy({ metadata: { name: "p" }, spec }).verdict;
  return judged.accepted ? "accepted" : `${judged.reason}: ${judged.message}`;
}

describe("reading a SegmentPolicy", () => {
  const cases: readonly { name: string; yaml: string; says: RegExp }[] = [
    { name: "accepts the language of the README", yaml: "tiers: [{name: db, ingress: [{from: [{tier: db}], ports: [{port: 5432}]}]}]", says: /^accepted$/ },
    { name: "accepts a default that is written out", yaml: "boundary: Namespace, mode: Enforce, suspend: false, policyTypes: [Egress, Ingress]", says: /^accepted$/ },
    { name: "names an undeclared tier and where it stands", yaml: "tiers: [{name: db, ingress: [{from: [{tier: bakend}]}]}]", says: /^Invalid: spec\.tiers\[0\]\.ingress\[0\]\.from\[0\]\.tier: no tier "bakend"; declared: db$/ },
    { name: "refuses an empty from", yaml: "tiers: [{name: db, ingress: [{from: []}]}]", says: /^Invalid: spec\.tiers\[0\]\.ingress\[0\]\.from: must be a list with at least one peer; for no restriction write \[\{anywhere: \{\}\}\]/ },
    { name: "refuses a missing from", yaml: "tiers: [{name: db, ingress: [{ports: [{port: 1}]}]}]", says: /^Invalid: spec\.tiers\[0\]\.ingress\[0\]\.from: must be a list; it is missing$/ },
    { name: "refuses empty ports", yaml: "tiers: [{name: db, ingress: [{from: [{tier: db}], ports: []}]}]", says: /^Invalid: .*ports: must be a list with at least one port; leave it out for every port/ },
    { name: "refuses anywhere beside another peer", yaml: "tiers: [{name: db, ingress: [{from: [{anywhere: {}}, {tier: db}]}]}]", says: /^Invalid: .*anywhere must be the rule's only peer$/ },
    { name: "refuses a peer of two kinds", yaml: "tiers: [{name: db, ingress: [{from: [{tier: db, podSelector: {}}]}]}]", says: /^Invalid: spec\.tiers\[0\]\.ingress\[0\]\.from\[0\]: must be exactly one of/ },
    { name: "refuses a tier that is declared twice", yaml: "tiers: [{name: db}, {name: db}]", says: /^Invalid: spec\.tiers\[1\]\.name: tier "db" is declared twice$/ },
    { name: "refuses a field it does not know", yaml: "tiers: [{name: db, ingres: []}]", says: /^Invalid: spec\.tiers\[0\]\.ingres: unknown field; known here: / },
    { name: "refuses an endPort below its port", yaml: "tiers: [{name: db, ingress: [{from: [{tier: db}], ports: [{port: 9, endPort: 8}]}]}]", says: /^Invalid: .*ports\[0\]\.endPort: needs a numeric port that is not above it$/ },
    { name: "accepts one direction", yaml: "policyTypes: [Ingress], tiers: [{name: db, ingress: [{from: [{tier: db}]}], egress: []}]", says: /^accepted$/ },
    { name: "refuses a rule in a direction that is not controlled", yaml: "policyTypes: [Ingress], tiers: [{name: db}, {name: web, egress: [{to: [{tier: db}]}]}]", says: /^Invalid: spec\.tiers\[1\]\.egress: policyTypes does not list Egress: add it there, or take the rules out$/ },
    { name: "refuses empty policyTypes", yaml: "policyTypes: []", says: /^Invalid: spec\.policyTypes: must be a list of Ingress, Egress or both/ },
    { name: "accepts a segment over several namespaces", yaml: "boundary: Segment, tiers: [{name: db, namespaceSelector: {matchLabels: {zone: a}}}]", says: /^accepted$/ },
    { name: "refuses a tier's namespaceSelector in a segment of one namespace", yaml: "tiers: [{name: web}, {name: db, namespaceSelector: {}}]", says: /^Invalid: spec\.tiers\[1\]\.namespaceSelector: needs boundary: Segment$/ },
    { name: "accepts suspend", yaml: "suspend: true", says: /^accepted$/ },
    { name: "accepts kubeAPIServer and nodes", yaml: "tiers: [{name: db, ingress: [{from: [{nodes: {}}]}], egress: [{to: [{kubeAPIServer: {}}, {nodes: {matchLabels: {a: b}}}]}]}]", says: /^accepted$/ },
    { name: "refuses kubeAPIServer as a source", yaml: "tiers: [{name: db, ingress: [{from: [{kubeAPIServer: {}}]}]}]", says: /^Invalid: spec\.tiers\[0\]\.ingress\[0\]\.from\[0\]\.kubeAPIServer: works only under egress/ },
    { name: "accepts Audit", yaml: "mode: Audit", says: /^accepted$/ },
    { name: "refuses a mode that is none", yaml: "mode: Dry", says: /^Invalid: spec\.mode: must be one of Enforce, Audit/ },
    { name: "reads a label of quarantine also where it does nothing", yaml: "mode: Audit, quarantineLabel: a/b/c", says: /^Invalid: spec\.quarantineLabel: / },
    { name: "says NotImplemented for assertions", yaml: "assertions: [{expect: Deny}]", says: /^NotImplemented: spec\.assertions: / },
  ];
  for (const { name, yaml, says } of cases) it(name, () => assert.match(verdict(yaml), says));

  it("takes the quarantine label in both forms, and off", () => {
    const quarantine = (label: string) => {
      const { verdict: judged } = readSegmentPolicy({ metadata: { name: "p" }, spec: { namespaceSelector: { matchLabels: { a: "b" } }, quarantineLabel: label } });
      return judged.accepted ? judged.spec.quarantine : "refused";
    };
    assert.deepEqual([quarantine("a/b"), quarantine("a/b=c"), quarantine("")], [{ key: "a/b", value: undefined }, { key: "a/b", value: "c" }, undefined]);
  });

  // Of what the schema lets through (int64), and of what it does not.
  for (const status of [{ observedGeneration: 2 ** 60 }, { conditions: [{ type: "Ready", status: "True", observedGeneration: 2 ** 60 }] }, { conditions: {} }, []]) {
    it(`takes a status that it cannot read for none: ${JSON.stringify(status)}`, () => {
      const read = readSegmentPolicy({ metadata: { name: "p" }, spec: { namespaceSelector: { matchLabels: { a: "b" } } }, status });
      assert.deepEqual([read.verdict.accepted, read.status], [true, { observedGeneration: -1, conditions: [] }]);
    });
  }
});
