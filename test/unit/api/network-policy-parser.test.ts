import assert from "node:assert/strict";

import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";

const read = (spec: object) => readNetworkPolicy({ metadata: { name: "p", namespace: "ns" }, spec });

describe("reading a NetworkPolicy", () => {
  const cases: readonly { name: string; spec: object; expected: object; unreadable?: readonly string[] }[] = [
    { name: "fills in the directions as Kubernetes does", spec: {}, expected: { policyTypes: ["Ingress"], ingress: [], egress: [] } },
    { name: "adds Egress where there are egress rules", spec: { egress: [{}] }, expected: { policyTypes: ["Ingress", "Egress"], egress: [{}] } },
    { name: "keeps a rule without peers or ports: it allows everything", spec: { ingress: [{}] }, expected: { ingress: [{}] } },
    { name: "reads an empty list as an absent one", spec: { ingress: [{ from: [], ports: [] }] }, expected: { ingress: [{}] } },
    { name: "defaults a port to TCP", spec: { ingress: [{ ports: [{ port: 80 }] }] }, expected: { ingress: [{ ports: [{ protocol: "TCP", port: 80 }] }] } },
    {
      name: "leaves out a peer with a field it does not know", spec: { ingress: [{ from: [{ podSelector: {}, serviceSelector: {} }, { podSelector: {} }] }] },
      expected: { ingress: [{ from: [{ podSelector: {} }] }] }, unreadable: ["spec.ingress[0].from[0].serviceSelector"],
    },
    {
      name: "leaves out the whole rule when no peer of it is left: no peers would mean any peer",
      spec: { ingress: [{ from: [{ podSelector: {}, serviceSelector: {} }] }] },
      expected: { ingress: [] }, unreadable: ["spec.ingress[0].from[0].serviceSelector", "spec.ingress[0]"],
    },
    {
      name: "leaves out the whole rule when no port of it is left", spec: { egress: [{ ports: [{ protocol: "DCCP", port: 1 }] }] },
      expected: { egress: [] }, unreadable: ["spec.egress[0].ports[0].protocol", "spec.egress[0]"],
    },
    { name: "leaves out a rule with a field it does not know", spec: { ingress: [{ notFrom: [] }] }, expected: { ingress: [] }, unreadable: ["spec.ingress[0].notFrom"] },
    {
      name: "allows nothing beside a field of the spec that it does not know", spec: { priority: 3, ingress: [{}], egress: [{}] },
      expected: { policyTypes: ["Ingress", "Egress"], ingress: [], egress: [] }, unreadable: ["spec.priority"],
    },
    { name: "leaves out half a selector", spec: { ingress: [{ from: [{ podSelector: { matchCEL: "x" } }] }] }, expected: { ingress: [] }, unreadable: ["spec.ingress[0].from[0].podSelector.matchCEL", "spec.ingress[0]"] },
    {
      name: "selects nothing by a pod selector that it does not understand", spec: { podSelector: { matchCEL: "x" }, ingress: [{}] },
      expected: { podSelector: { matchExpressions: [{ key: "unreadable", operator: "In", values: [] }] }, ingress: [{}] },
      unreadable: ["spec.podSelector.matchCEL"],
    },
    { name: "leaves out a direction that it does not know", spec: { policyTypes: ["Egress", "Forward"] }, expected: { policyTypes: ["Egress"] }, unreadable: ["spec.policyTypes[1]"] },
    { name: "takes no default for directions that it does not know", spec: { policyTypes: ["Forward"] }, expected: { policyTypes: [] }, unreadable: ["spec.policyTypes[0]"] },
  ];
  for (const { name, spec, expected, unreadable = [] } of cases) {
    it(name, () => {
      const policy = read(spec);
      assert.deepEqual({ ...policy.spec, ...expected }, policy.spec);
      assert.deepEqual(policy.unreadable, unreadable);
    });
  }
});
