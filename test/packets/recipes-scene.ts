import { readApiServer } from "../../operator/control/api-server-facts.ts";
import { KnownFacts } from "../../operator/control/known-facts.ts";
import { FIELD_MANAGER, NAMESPACE_NAME_LABEL, type Labels } from "../../operator/api/meta.ts";
import type { NetworkPolicySpec } from "../../operator/api/network-policy.ts";
import type { SegmentPolicySpec } from "../../operator/api/segment-policy.ts";
import { DEFAULT_SETTINGS } from "../../operator/api/settings.ts";
import { readNamespace } from "../../operator/api/workload-parser.ts";
import type { Node } from "../../operator/api/workload.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { Facts } from "../../operator/compile/facts.ts";
import { partsIn } from "../../operator/compile/part.ts";
import { partLabels, plan, type Owner } from "../../operator/compile/plan.ts";
import { segmentNamespaces } from "../../operator/compile/segment-namespaces.ts";
import { ADDRESSES, FAMILIES, type HostName, type NodeHost, NODES, POD_NETS, PODS } from "./bed/address-plan.ts";
import type { RawCluster } from "./bed/cluster-feed.ts";

/** Who stands on a host of the bed. */
export interface Role {
  readonly on: HostName;
  /** Absent = no pod of the cluster: a node, or a machine outside. */
  readonly namespace?: string;
  readonly labels?: Labels;
  /** Container ports that have a name, TCP. */
  readonly ports?: Readonly<Record<string, number>>;
}

/** A cluster in which a recipe is tried, and what must come of it. */
export interface Scene {
  readonly name: string;
  /** Labels by name. `kube-system` is always there. */
  readonly namespaces: Readonly<Record<string, Labels>>;
  readonly cast: Readonly<Record<string, Role>>;
  /** NetworkPolicies that somebody else has written, by `<namespace>/<name>`. */
  readonly besides?: Readonly<Record<string, Partial<NetworkPolicySpec>>>;
  /** Asked about in every cell of the matrix, which is as `readGrid` has it. */
  readonly ports: readonly string[];
  readonly matrix: string;
}

const OPERATOR_NAMESPACE = "tierwall-system";
const DNS_SERVICE = ["10.96.0.10", "fd00:10:96::a"];

/** The scene as the API server would hold it once the operator has rolled the recipe out. */
export function clusterOf(policy: string, spec: SegmentPolicySpec, scene: Scene): RawCluster {
  const namespaces = Object.entries({ "kube-system": {}, ...scene.namespaces })
    .map(([name, labels]) => rawNamespace(name, labels));
  return {
    namespaces,
    pods: Object.entries(scene.cast).flatMap(([name, role]) => rawPod(name, role)),
    networkPolicies: [
      ...generated({ name: policy, uid: "uid-of-the-segment" }, spec, namespaces),
      ...Object.entries(scene.besides ?? {}).map(([id, written]) => {
        const [namespace = "", name = ""] = id.split("/");
        return rawPolicy({ namespace, name }, written);
      }),
    ],
    enforce: DEFAULT_SETTINGS.enforce,
    nodeTraffic: DEFAULT_SETTINGS.nodeTraffic,
  };
}

function generated(owner: Owner, spec: SegmentPolicySpec, namespaces: readonly object[]): readonly object[] {
  const facts = factsOfBed();
  const parts = compile(owner.name, spec, facts);
  const matched = segmentNamespaces(spec, namespaces.map(readNamespace), new Set(facts.excludedNamespaces));
  return matched.flatMap(({ name: namespace, labels }) => (
    plan(owner, partsIn(parts, labels), []).steps.flatMap((step) => {
      if (step.action !== "create") throw new Error(`an empty namespace needs no ${step.action}`);
      const metadata = {
        namespace,
        name: step.part.name,
        labels: partLabels(step.part, owner),
        managedFields: [{ manager: FIELD_MANAGER, operation: "Update" }],
      };
      return [rawPolicy(metadata, step.part.spec)];
    })
  ));
}

/** What the operator would know of the bed. Node `right` is where the API server runs. */
function factsOfBed(): Facts {
  const apiServer = readApiServer({
    endpoints: FAMILIES.map((family) => ({ addresses: [ADDRESSES.right[family]] })),
    ports: [{ name: "https", protocol: "TCP", port: 6443 }],
  });
  const known = new KnownFacts({
    sources: {
      clusterIPs: () => DNS_SERVICE,
      apiServer: () => apiServer,
      nodes: new Map(NODES.map((name) => [name, node(name)])),
    },
    settings: DEFAULT_SETTINGS,
    namespace: OPERATOR_NAMESPACE,
  });
  return known.facts();
}

function node(name: NodeHost): Node {
  return {
    name, uid: `node-${name}`, labels: { "kubernetes.io/hostname": name }, ready: true, operatingSystem: "linux",
    addresses: Object.values(ADDRESSES[name]), podCIDRs: Object.values(POD_NETS[name]), createdAt: 0,
  };
}

function rawNamespace(name: string, labels: Labels): object {
  return {
    metadata: { name, uid: `namespace-${name}`, labels: { [NAMESPACE_NAME_LABEL]: name, ...labels } },
    status: { phase: "Active" },
  };
}

function rawPod(name: string, { on, namespace, labels = {}, ports = {} }: Role): readonly object[] {
  if (namespace === undefined) return [];
  if (!isPodHost(on)) throw new Error(`${name}: no pod can be on host ${on}`);
  const named = Object.entries(ports).map(([port, containerPort]) => ({ name: port, containerPort }));
  return [{
    metadata: { namespace, name, uid: `pod-${namespace}-${name}`, labels },
    spec: { nodeName: PODS[on], containers: [{ name: "main", ports: named }] },
    status: { phase: "Running", podIPs: FAMILIES.map((family) => ({ ip: ADDRESSES[on][family] })) },
  }];
}

function rawPolicy(
  metadata: { readonly namespace: string; readonly name: string },
  { ingress = [], egress = [], ...rest }: Partial<NetworkPolicySpec>,
): object {
  const { namespace, name } = metadata;
  return {
    metadata: { uid: `policy-${namespace}-${name}`, ...metadata },
    // The API server drops empty lists.
    spec: { ...rest, ...(ingress.length > 0 && { ingress }), ...(egress.length > 0 && { egress }) },
  };
}

function isPodHost(host: HostName): host is keyof typeof PODS {
  return host in PODS;
}
