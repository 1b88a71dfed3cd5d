import assert from "node:assert/strict";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { enforcerObjects, untilTold } from "./enforcers.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, segmentPolicy, type Manifest } from "./segment.ts";

const NODE = "own-road-node";
const SPACE = "tierwall-system";
const ROAD = `${SPACE}/(own road)`;
/** As the API server shows the pods of the Deployment; a stranger carries a half of it. */
const LABELS = { "app.kubernetes.io/name": "tierwall-operator", "app.kubernetes.io/part-of": "tierwall" };

describe("the operator: its own road", function () {
  this.timeout(60_000);
  let installation: Installation;
  let operator: OperatorProcess;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start({});
    await installation.apply(...enforcerObjects(NODE));
    await pod("operator-pod", "10.1.0.1", LABELS);
    await pod("stranger", "10.1.0.2", { "app.kubernetes.io/part-of": "tierwall" });
    await installation.apply({
      apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "deny-all", namespace: SPACE },
      spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
    });
    operator = await installation.startOperator("own-road", { enforcer: "Managed", enforce: "All" });
    await operator.untilReady();
    await installation.apply(namespace("road", "road"), segmentPolicy("road"));
    await installation.until("road", "Ready", "True", 20_000);
  });

  after(() => installation?.stop());

  async function pod(name: string, address: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const containers = [{ name: "c", image: "none" }];
    const manifest: Manifest = {
      apiVersion: "v1", kind: "Pod", metadata: { name, namespace: SPACE, labels },
      spec: {
        nodeName: NODE, serviceAccountName: "tierwall-operator", containers, tolerations: [{ operator: "Exists" }],
      },
    };
    await installation.apply(manifest);
    const status = { status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] } };
    const patch = `--patch=${JSON.stringify(status)}`;
    const which = [`pod/${name}`, `--namespace=${SPACE}`, "--subresource=status"];
    await installation.kubectl("patch", ...which, "--type=merge", patch);
  }

  function apiServerAt(address: string): Promise<void> {
    return installation.apply({
      apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4",
      metadata: { name: "kubernetes", namespace: "default", labels: { "kubernetes.io/service-name": "kubernetes" } },
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports: [{ name: "https", protocol: "TCP", port: 6443 }],
    });
  }

  const policiesOf = ({ pods }: NodeState, name: string) => {
    const found = pods.values().find((local) => local.name === name);
    return found && [...found.ingress, ...found.egress].map(String);
  };
  const roadOf = (state: NodeState | undefined) => state?.policies.values().find(({ id }) => id === ROAD);
  const untilApiAt = (...addresses: readonly string[]) => untilTold(installation, operator, NODE, ({ state }) => {
    const peers = roadOf(state)?.egress.map((rule) => rule.peers).filter((found) => found !== "any") ?? [];
    const blocks = peers.flatMap((found) => found.blocks.map(({ cidr }) => cidr));
    return blocks.join() === addresses.map((address) => `${address}/32`).join() && state ? state : undefined;
  });

  it("is open to its pods alone under a default-deny, also while no endpoint of the API server is known", async () => {
    const state = await untilTold(installation, operator, NODE, (told) => roadOf(told.state) && told.state);
    const denied = `${SPACE}/deny-all`;
    assert.deepEqual(policiesOf(state, "operator-pod"), [ROAD, denied, ROAD, denied]);
    assert.deepEqual(policiesOf(state, "stranger"), [denied, denied]);
    const ports = roadOf(state)?.egress.map((rule) => rule.ports).flat();
    assert.ok(ports?.some((port) => typeof port === "object" && "port" in port && port.port === 6443));
  });

  it("leads to the API server's endpoints alone when they are known, and follows them", async () => {
    await apiServerAt("192.0.2.10");
    await untilApiAt("192.0.2.10");
    await apiServerAt("192.0.2.11");
    await untilApiAt("192.0.2.11");
  });

  it("is the same labels as the Deployment gives its pods", async () => {
    const path = "jsonpath={.spec.template.metadata.labels}";
    const which = ["deployment/tierwall-operator", `--namespace=${SPACE}`];
    const shown = await installation.kubectl("get", ...which, `--output=${path}`);
    assert.deepEqual(JSON.parse(shown), LABELS);
  });

  keepsGoodConduct(() => installation);
});
