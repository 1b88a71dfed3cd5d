import assert from "node:assert/strict";
import { policyId } from "../../../operator/resolve/policy-resolution.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { namespace, pod, policy } from "./cluster.ts";

const BROKEN = { podSelector: { matchCEL: "x" }, policyTypes: ["Ingress"] };

describe("a NetworkPolicy whose pod selector is not understood", () => {
  let resolver: Resolver;

  beforeEach(() => {
    resolver = new Resolver({ enforce: "All" });
    resolver.setNamespace(namespace("shop"));
    resolver.setPod(pod("shop/a", "n1", ["10.1.0.1"], {}));
  });

  /** Which policies isolate the pod, once all changes have been taken. */
  function isolating(): readonly string[] | undefined {
    resolver.takeChanges();
    return resolver.nodeState("n1").pods.values().toArray()[0]?.ingress;
  }

  it("selects nothing, and is said", () => {
    resolver.setNetworkPolicy(policy("shop/p", BROKEN));
    assert.deepEqual(isolating(), []);
    assert.match(resolver.problems()[0]?.message ?? "", /spec\.podSelector\.matchCEL/);
  });

  it("leaves in force what it was before", () => {
    resolver.setNetworkPolicy(policy("shop/p", { podSelector: {}, policyTypes: ["Ingress"] }));
    resolver.setNetworkPolicy(policy("shop/p", BROKEN));
    assert.deepEqual(isolating(), [policyId("shop", "p")]);
    assert.match(resolver.problems()[0]?.message ?? "", /spec\.podSelector\.matchCEL/);
    resolver.deleteNetworkPolicy("shop", "p");
    assert.deepEqual(isolating(), []);
    assert.deepEqual(resolver.problems(), []);
  });
});
