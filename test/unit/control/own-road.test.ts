import assert from "node:assert/strict";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { DEFAULT_SETTINGS } from "../../../operator/api/settings.ts";
import { ownRoad } from "../../../operator/control/own-road.ts";
import { policyId } from "../../../operator/resolve/policy-resolution.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { namespace, pod, policy } from "../resolve/cluster.ts";

const SPACE = "tierwall-system";
const LABELS = { "app.kubernetes.io/name": "tierwall-operator" };
const ROAD = policyId(SPACE, "(own road)");
const API = { blocks: ["10.0.0.10/32"], ports: [{ protocol: "TCP" as const, port: 6443 }] };

/** What node n1 knows of the operator's pod and of a stranger in its namespace, under these policies. */
function stateUnder(...policies: readonly object[]): NodeState {
  const resolver = new Resolver({ enforce: "All" });
  resolver.setOwnRoad(ownRoad({ namespace: SPACE, labels: LABELS, settings: DEFAULT_SETTINGS, apiServer: API }));
  resolver.setNamespace(namespace(SPACE));
  resolver.setPod(pod(`${SPACE}/operator`, "n1", ["10.1.0.1"], LABELS));
  resolver.setPod(pod(`${SPACE}/stranger`, "n1", ["10.1.0.2"], {}));
  for (const [index, spec] of policies.entries()) resolver.setNetworkPolicy(policy(`${SPACE}/p${index}`, spec));
  resolver.takeChanges();
  return resolver.nodeState("n1");
}

describe("the operator's own road", () => {
  it("isolates nobody", () => {
    for (const { ingress, egress } of stateUnder().pods.values()) assert.deepEqual([ingress, egress], [[], []]);
  });

  it("stands beside whatever isolates the operator, in the directions that are isolated, and for nobody else", () => {
    const { pods, policies } = stateUnder({ podSelector: {}, policyTypes: ["Egress"] });
    const lists = Object.fromEntries(pods.values().map(({ name, ingress, egress }) => [name, [ingress, egress]]));
    const denied = policyId(SPACE, "p0");
    assert.deepEqual(lists, { operator: [[], [ROAD, denied]], stranger: [[], [denied]] });
    assert.deepEqual(policies.get(ROAD)?.ingress, [
      { peers: "any", ports: [{ protocol: "TCP", port: 8443 }], endpoints: [] },
    ]);
    assert.deepEqual(policies.get(ROAD)?.egress.at(-1)?.peers, { sets: [], blocks: [{ cidr: "10.0.0.10/32" }] });
  });

  it("does not let the operator out to the API server's ports elsewhere once its endpoints are known", () => {
    const settings = DEFAULT_SETTINGS;
    const rules = (apiServer: typeof API | undefined) => {
      return ownRoad({ namespace: SPACE, labels: LABELS, settings, apiServer }).spec.egress;
    };
    assert.deepEqual(rules(API).flatMap(({ to = [] }) => to), [{ ipBlock: { cidr: "10.0.0.10/32" } }]);
    assert.deepEqual(rules(undefined).flatMap(({ to = [] }) => to), []);
  });

  it("has no rule for DNS where the settings name no port of it", () => {
    const settings = { ...DEFAULT_SETTINGS, dns: { ...DEFAULT_SETTINGS.dns, ports: [] } };
    const { egress } = ownRoad({ namespace: SPACE, labels: LABELS, settings, apiServer: API }).spec;
    assert.deepEqual(egress, [{ to: [{ ipBlock: { cidr: "10.0.0.10/32" } }], ports: API.ports }]);
  });
});
