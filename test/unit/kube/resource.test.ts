import assert from "node:assert/strict";
import {
  collectionPath, NETWORK_POLICIES, NODES, objectPath, PODS, SEGMENT_NODES, type ObjectName,
} from "../../../operator/kube/resource.ts";

describe("paths of the API server", () => {
  const policy: ObjectName = { namespace: "shop-dev", name: "shop-db-1f0c9a2e" };
  const cases = [
    { path: collectionPath(NODES), is: "/api/v1/nodes" },
    { path: collectionPath(PODS), is: "/api/v1/pods" },
    { path: collectionPath(PODS, "shop-dev"), is: "/api/v1/namespaces/shop-dev/pods" },
    { path: collectionPath(NETWORK_POLICIES), is: "/apis/networking.k8s.io/v1/networkpolicies" },
    {
      path: objectPath(NETWORK_POLICIES, policy),
      is: "/apis/networking.k8s.io/v1/namespaces/shop-dev/networkpolicies/shop-db-1f0c9a2e",
    },
    {
      path: objectPath(SEGMENT_NODES, { name: "node-1" }, "status"),
      is: "/apis/tierwall.io/v1alpha1/segmentnodes/node-1/status",
    },
    { path: objectPath(NODES, { name: "a/../b?c" }), is: "/api/v1/nodes/a%2F..%2Fb%3Fc" },
  ];
  for (const { path, is } of cases) it(is, () => assert.equal(path, is));

  it("needs a namespace for one object of a namespaced kind, and takes none for another kind", () => {
    assert.throws(() => objectPath(PODS, { name: "a" }), /pods need a namespace/);
    assert.throws(() => objectPath(PODS, { namespace: "", name: "a" }), /pods need a namespace/);
    assert.throws(() => collectionPath(NODES, "default"), /nodes have no namespace/);
  });
});
