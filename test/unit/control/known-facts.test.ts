import assert from "node:assert/strict";

import { DEFAULT_SETTINGS } from "../../../operator/api/settings.ts";
import type { Node } from "../../../operator/api/workload.ts";
import type { ApiServerFacts } from "../../../operator/compile/facts.ts";
import { readApiServer } from "../../../operator/control/api-server-facts.ts";
import { KnownFacts } from "../../../operator/control/known-facts.ts";

const node = (name: string, address: string, role = "edge"): Node => ({
  name, uid: name, labels: { role }, ready: true, operatingSystem: "linux", createdAt: 0, addresses: [address], podCIDRs: [],
});

/** A cluster that can be changed between two looks. */
function cluster(nodeCIDRs: readonly string[] = []) {
  const shown: { ips: readonly string[]; apiServer: ApiServerFacts | undefined } = { ips: ["10.96.0.10"], apiServer: undefined };
  const nodes = new Map<string, Node>();
  const sources = { nodes, clusterIPs: () => shown.ips, apiServer: () => shown.apiServer };
  const known = new KnownFacts({ sources, settings: { ...DEFAULT_SETTINGS, nodeCIDRs }, namespace: "tierwall-system" });
  const edge = () => known.facts().nodes({ matchLabels: { role: "edge" } });
  return { shown, nodes, known, edge };
}

describe("the facts of the cluster", () => {
  it("follow the addresses of the nodes that a selector names", () => {
    const { nodes, edge } = cluster();
    nodes.set("a", node("a", "10.0.0.4")).set("b", node("b", "10.0.0.5")).set("c", node("c", "10.0.0.6", "core"));
    assert.deepEqual(edge(), { blocks: ["10.0.0.4/31"] });
    nodes.set("b", node("b", "10.0.0.9"));
    assert.deepEqual(edge(), { blocks: ["10.0.0.4/32", "10.0.0.9/32"] });
  });

  it("do not give up what is known for an empty answer", () => {
    const { shown, nodes, known, edge } = cluster();
    const apiServer = { blocks: ["10.0.0.1/32"], ports: [{ protocol: "TCP", port: 6443 }] } as const;
    nodes.set("a", node("a", "10.0.0.4"));
    shown.apiServer = apiServer;
    const { dns } = known.facts();
    assert.deepEqual([dns.stale, edge()], [[], { blocks: ["10.0.0.4/32"] }]);
    nodes.clear();
    Object.assign(shown, { ips: [], apiServer: undefined });
    const after = known.facts();
    assert.deepEqual(after.dns, { ...dns, stale: ["the address of Service kube-system/kube-dns"] });
    assert.deepEqual(after.apiServer, { ...apiServer, stale: true });
    assert.deepEqual(edge(), { blocks: ["10.0.0.4/32"], stale: true });
    shown.apiServer = apiServer;
    assert.deepEqual(known.facts().apiServer, apiServer);
  });

  it("are not known before there is an answer", () => {
    const { shown, known, edge } = cluster();
    shown.ips = [];
    assert.equal(known.facts().apiServer, undefined);
    assert.deepEqual(edge(), { blocks: undefined });
    assert.deepEqual(known.facts().dns.unknown, ["the address of Service kube-system/kube-dns"]);
  });

  /** Every second address, so that none can be merged. */
  const crowd = (nodes: Map<string, Node>, count: number) => {
    for (let index = 0; index < count; index += 1) nodes.set(`${index}`, node(`${index}`, `10.${index >> 7}.0.${(index & 127) * 2}`));
  };

  it("stay as they were when the nodes come to more than 1,000 blocks, and say so", () => {
    const { nodes, edge } = cluster();
    crowd(nodes, 1_000);
    const before = edge().blocks;
    assert.equal(before?.length, 1_000);
    crowd(nodes, 1_001);
    assert.deepEqual(edge(), { blocks: before, tooMany: 1_001 });
  });

  it("are unknown when there were too many from the start", () => {
    const { nodes, edge } = cluster();
    crowd(nodes, 5_000);
    assert.deepEqual(edge(), { blocks: undefined, tooMany: 5_000 });
  });

  it("are the setting nodeCIDRs when there are too many", () => {
    const { nodes, edge } = cluster(["10.0.0.0/8"]);
    crowd(nodes, 5_000);
    assert.deepEqual(edge(), { blocks: ["10.0.0.0/8"] });
  });

  it("name the operator's own namespace among the excluded ones", () => {
    assert.ok(cluster().known.facts().excludedNamespaces.includes("tierwall-system"));
  });
});

describe("where the API server answers", () => {
  const slice = (endpoints: readonly object[], ports: readonly object[] = [{ name: "https", protocol: "TCP", port: 6443 }]) =>
    readApiServer({ metadata: { name: "kubernetes", namespace: "default" }, addressType: "IPv4", endpoints, ports });
  const cases: readonly { name: string; got: ApiServerFacts | undefined; expected: readonly string[] | undefined }[] = [
    { name: "is at every ready endpoint", got: slice([{ addresses: ["10.0.0.2"], conditions: { ready: true } }, { addresses: ["10.0.0.1"] }]), expected: ["10.0.0.1/32", "10.0.0.2/32"] },
    { name: "is not at one that is not ready", got: slice([{ addresses: ["10.0.0.2"], conditions: { ready: false } }, { addresses: ["10.0.0.1"] }]), expected: ["10.0.0.1/32"] },
    { name: "is at IPv6 addresses in their one text", got: slice([{ addresses: ["fd00:0:0::1"] }]), expected: ["fd00::1/128"] },
    { name: "is not known without endpoints", got: slice([]), expected: undefined },
    { name: "is not known without ports", got: slice([{ addresses: ["10.0.0.1"] }], []), expected: undefined },
  ];
  for (const { name, got, expected } of cases) it(name, () => assert.deepEqual(got?.blocks, expected));

  it("keeps the port and forgets its name", () => {
    assert.deepEqual(slice([{ addresses: ["10.0.0.1"] }])?.ports, [{ protocol: "TCP", port: 6443 }]);
  });
});
