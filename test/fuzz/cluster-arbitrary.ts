import fc from "fast-check";
import { ADDRESSES, PODS, type PodHost } from "../packets/bed/address-plan.ts";
import type { RawCluster } from "../packets/bed/cluster-feed.ts";
import { MOST_POLICIES, networkPolicies } from "./policy-arbitrary.ts";

const oneOf = <T>(...items: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...items);

/** Two numbers for a name, and one name for two protocols: nothing may be looked up by the name alone. */
const containerPorts = fc.subarray([
  { name: "http", containerPort: 80 },
  { name: "http", containerPort: 81, protocol: "TCP" },
  { name: "http", containerPort: 53, protocol: "UDP" },
  { name: "sql", containerPort: 5432 },
  { name: "dns", containerPort: 53, protocol: "UDP" },
  { name: "dns", containerPort: 80, protocol: "SCTP" },
  { containerPort: 82 },
], { minLength: 2, maxLength: 5 });

const labels = fc.record({
  tier: oneOf("web", "db", "job"),
  q: oneOf("1", "2"),
}, { requiredKeys: ["tier"], noNullPrototype: true });

interface PodDraft {
  readonly namespace: string;
  readonly labels: object;
  readonly ports: readonly object[];
  readonly sidecarPorts: readonly object[];
  readonly initPorts: readonly object[];
  readonly state: "absent" | "host network" | "Succeeded" | "deleting" | "Running" | "without address";
  readonly families: readonly ("ipv4" | "ipv6")[];
  /** Another object in the same place: uid and name differ. */
  readonly successor: boolean;
}

const podDraft: fc.Arbitrary<PodDraft> = fc.record({
  namespace: oneOf("shop", "shop", "shop", "other", "other"),
  labels,
  ports: containerPorts,
  sidecarPorts: oneOf<readonly object[]>([], [], [], [{ name: "http", containerPort: 82 }]),
  initPorts: oneOf<readonly object[]>([], [], [{ name: "sql", containerPort: 82 }]),
  state: fc.oneof(
    { weight: 20, arbitrary: oneOf<PodDraft["state"]>("Running") },
    { weight: 4, arbitrary: oneOf<PodDraft["state"]>(
      "absent", "host network", "Succeeded", "deleting", "without address") },
  ),
  families: oneOf<PodDraft["families"]>(["ipv4", "ipv6"], ["ipv4", "ipv6"], ["ipv6", "ipv4"], ["ipv4"], ["ipv6"]),
  successor: fc.boolean(),
});

const namespaceLabels = oneOf<object>({}, { env: "prod" }, { env: "dev" }, { env: "prod", team: "x" });

const clusterDraft = fc.record({
  pods: fc.record({ a: podDraft, b: podDraft, c: podDraft, d: podDraft, e: podDraft }),
  spaces: fc.record({ shop: namespaceLabels, other: namespaceLabels }),
  policies: networkPolicies(["shop", "shop", "other"]),
  enforce: oneOf<RawCluster["enforce"]>("All", "Segments"),
  nodeTraffic: oneOf<RawCluster["nodeTraffic"]>("Allow", "Allow", "Enforce"),
});
type ClusterDraft = typeof clusterDraft extends fc.Arbitrary<infer Draft> ? Draft : never;

const podChange = oneOf<"none" | "labels" | "ports" | "all">("none", "none", "labels", "ports", "all");
const kept = oneOf(true, true, false);
/** What a change takes from the second cluster; the rest stays as it was: most changes are small. */
const anyMerge = fc.record({
  pods: fc.record({ a: podChange, b: podChange, c: podChange, d: podChange, e: podChange }),
  spaces: fc.record({ shop: fc.boolean(), other: fc.boolean() }),
  policies: fc.array(kept, { minLength: MOST_POLICIES, maxLength: MOST_POLICIES }),
  morePolicies: oneOf(true, false),
  settings: oneOf(true, true, true, false),
});
type Merge = typeof anyMerge extends fc.Arbitrary<infer Each> ? Each : never;

/** A cluster on the bed's hosts, and what becomes of it. */
export interface Change {
  readonly before: RawCluster;
  readonly after: RawCluster;
}

export const anyChange: fc.Arbitrary<Change> = fc.tuple(clusterDraft, clusterDraft, anyMerge)
  .map(([before, other, merge]) => ({ before: rawCluster(before), after: rawCluster(merged(before, other, merge)) }));

function merged(before: ClusterDraft, other: ClusterDraft, merge: Merge): ClusterDraft {
  const pod = (host: PodHost): PodDraft => {
    const [was, is] = [before.pods[host], other.pods[host]];
    switch (merge.pods[host]) {
      case "none":
        return was;
      case "labels":
        return { ...was, labels: is.labels };
      case "ports":
        return { ...was, ports: is.ports };
      case "all":
        return is;
    }
  };
  const policies = before.policies.filter((_, index) => merge.policies[index]);
  const names = new Set(policies.map(({ id }) => id));
  const { enforce, nodeTraffic } = merge.settings ? before : other;
  return {
    pods: { a: pod("a"), b: pod("b"), c: pod("c"), d: pod("d"), e: pod("e") },
    spaces: {
      shop: (merge.spaces.shop ? before : other).spaces.shop,
      other: (merge.spaces.other ? before : other).spaces.other,
    },
    policies: merge.morePolicies ? [...policies, ...other.policies.filter(({ id }) => !names.has(id))] : policies,
    enforce,
    nodeTraffic,
  };
}

function rawCluster({ pods, spaces, policies, enforce, nodeTraffic }: ClusterDraft): RawCluster {
  return {
    pods: (Object.entries(pods) as [PodHost, PodDraft][]).flatMap(([host, draft]) => rawPod(host, draft)),
    namespaces: Object.entries(spaces).map(([name, own]) => (
      { metadata: { name, uid: name, labels: { "kubernetes.io/metadata.name": name, ...own } } }
    )),
    networkPolicies: policies.map(({ object }) => object),
    enforce,
    nodeTraffic,
  };
}

function rawPod(host: PodHost, draft: PodDraft): readonly object[] {
  const { namespace, labels: own, ports, sidecarPorts, initPorts, state, families, successor } = draft;
  if (state === "absent") return [];
  const onNode = state === "host network";
  const addresses = state === "without address" ? [] : families.map((family) => (
    ADDRESSES[onNode ? PODS[host] : host][family]
  ));
  const name = successor ? `${host}-2` : host;
  return [{
    metadata: {
      namespace, name, uid: `uid-${name}-${namespace}`, labels: own,
      ...(state === "deleting" && { deletionTimestamp: "2026-01-01T00:00:00Z" }),
    },
    spec: {
      nodeName: PODS[host],
      ...(onNode && { hostNetwork: true }),
      containers: [{ name: "main", ports }],
      initContainers: [
        { name: "sidecar", restartPolicy: "Always", ports: sidecarPorts }, { name: "init", ports: initPorts },
      ],
    },
    status: {
      phase: state === "Succeeded" ? "Succeeded" : "Running",
      podIPs: addresses.map((ip) => ({ ip })),
    },
  }];
}
