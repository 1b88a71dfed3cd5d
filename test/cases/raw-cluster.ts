import { FIELD_MANAGER, NAMESPACE_NAME_LABEL, POLICY_LABEL, type Labels } from "../../operator/api/meta.ts";
import { PODS_OF, type AddressPlan, type ClusterDraft, type NodeHost, type PodDraft, type PodHost } from "./case.ts";

/** Kubernetes objects as the API server would send them, and the settings that go with them. */
export interface RawCluster {
  readonly namespaces: readonly object[];
  readonly pods: readonly object[];
  readonly networkPolicies: readonly object[];
  readonly services: readonly RawService[];
  readonly enforce: "Segments" | "All";
  readonly nodeTraffic: "Allow" | "Enforce";
}

/** What kube-proxy has to know; the harness makes a Service and its EndpointSlices of it. */
export interface RawService {
  readonly namespace: string;
  readonly name: string;
  readonly pod: PodHost;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
  readonly targetPort: number;
}

const NAMESPACES: Readonly<Record<string, Labels>> = { shop: { team: "shop" }, other: { team: "other" } };

/**
 * What the pods are unless a row says otherwise: `a` is a db, the others are webs; `c` and `e` live in another
 * namespace. Each has a label with its own name, so that rows can select one.
 */
export const POD_DEFAULTS: Readonly<Record<PodHost, { readonly namespace: string; readonly labels: Labels }>> = {
  a: { namespace: "shop", labels: { pod: "a", tier: "db" } },
  b: { namespace: "shop", labels: { pod: "b", tier: "web" } },
  c: { namespace: "other", labels: { pod: "c", tier: "web" } },
  d: { namespace: "shop", labels: { pod: "d", tier: "web" } },
  e: { namespace: "other", labels: { pod: "e", tier: "web" } },
};

export function rawCluster(draft: ClusterDraft | ((plan: AddressPlan) => ClusterDraft), plan: AddressPlan): RawCluster {
  const { namespaces = {}, pods = {}, ghosts = {}, policies, services = {}, ...settings } =
    typeof draft === "function" ? draft(plan) : draft;
  const placed = Object.entries(PODS_OF).flatMap(([node, hosts]) => hosts.map((host) => ({ node, host })));
  return {
    namespaces: Object.entries({ ...NAMESPACES, ...namespaces })
      .flatMap(([name, labels]) => (labels === undefined ? [] : [rawNamespace(name, labels)])),
    pods: [
      ...placed.map(({ node, host }) => {
        const own = plan.families.map((family) => plan.address(host, family));
        const { namespace, labels } = POD_DEFAULTS[host];
        return rawPod(host, node as NodeHost, { namespace, labels, addresses: () => own, ...pods[host] }, plan);
      }),
      ...Object.entries(ghosts).map(([name, ghost]) => rawPod(name, ghost.node, ghost, plan)),
    ],
    networkPolicies: Object.entries(policies)
      .map(([id, { spec, generated = false }]) => rawPolicy(id, spec, generated)),
    services: Object.entries(services).map(([name, { pod, protocol = "TCP", port, targetPort }]) => ({
      namespace: pods[pod]?.namespace ?? POD_DEFAULTS[pod].namespace, name, pod, protocol, port, targetPort,
    })),
    enforce: settings.enforce ?? "All",
    nodeTraffic: settings.nodeTraffic ?? "Allow",
  };
}

function rawNamespace(name: string, labels: Labels): object {
  return {
    apiVersion: "v1", kind: "Namespace",
    metadata: { name, uid: `namespace-${name}`, labels: { [NAMESPACE_NAME_LABEL]: name, ...labels } },
    status: { phase: "Active" },
  };
}

function rawPod(name: string, node: NodeHost, draft: PodDraft, plan: AddressPlan): object {
  const { namespace = "shop", labels = {}, spec, status, deleting = false, addresses } = draft;
  const podIPs = (addresses?.(plan) ?? []).map((ip) => ({ ip }));
  return {
    apiVersion: "v1", kind: "Pod",
    metadata: {
      namespace, name, uid: `pod-${namespace}-${name}`, labels,
      ...(deleting && { deletionTimestamp: "2026-01-01T00:00:00Z" }),
    },
    spec: { nodeName: node, containers: [{ name: "main" }], ...spec },
    status: { phase: "Running", podIPs, ...status },
  };
}

function rawPolicy(id: string, spec: unknown, generated: boolean): object {
  const [namespace = "", name = ""] = id.split("/");
  return {
    apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy",
    metadata: {
      namespace, name, uid: `policy-${namespace}-${name}`,
      ...(generated && {
        labels: { [POLICY_LABEL]: "segment" },
        managedFields: [{ manager: FIELD_MANAGER, operation: "Apply" }],
      }),
    },
    spec,
  };
}
