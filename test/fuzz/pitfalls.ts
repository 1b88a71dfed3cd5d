import type { ClusterDraft, Family, Host, PodDraft } from "../cases/case.ts";
import { anyBlock, block, blockPeers, hostBlocks } from "../cases/ip-block.ts";
import { egressOf, generated, ingressOf, only, withPorts } from "../cases/policies.ts";
import { rawCluster } from "../cases/raw-cluster.ts";
import { PLAN } from "../packets/bed/address-plan.ts";
import type { Change } from "./cluster-arbitrary.ts";

/** A change that many mistakes show in, so that finding these is no matter of luck. */
export interface Pitfall extends Change {
  readonly name: string;
}

const WEBS = { podSelector: { matchLabels: { tier: "web" } } };
const GUESTS = { namespaceSelector: { matchLabels: { team: "other" } } };
const labelled = (pod: string, tier: string): PodDraft => ({ labels: { pod, tier } });

/** Each pod has an ingress that one more way of writing ports is about. */
const PORTS: ClusterDraft = {
  pods: { d: withPorts({ http: 80 }), e: withPorts({ dns: ["SCTP", 80] }) },
  policies: {
    "shop/range": ingressOf("a", [{ from: [{ namespaceSelector: {} }], ports: [{ port: 80, endPort: 82 }] }]),
    "shop/one-number": ingressOf("b", [
      { from: [{ podSelector: only("a") }], ports: [{ port: 80 }] },
      { from: [{ podSelector: only("d") }], ports: [{ protocol: "SCTP", port: 80 }] },
    ]),
    "other/protocol": ingressOf("c", [{ ports: [{ protocol: "UDP" }] }]),
    "shop/name": ingressOf("d", [{ ports: [{ port: "http" }] }]),
    "other/name": ingressOf("e", [{ ports: [{ port: "dns" }] }]),
  },
};

const NAMES_OF_OTHERS: ClusterDraft = {
  pods: { ...PORTS.pods, a: withPorts({ http: 81 }), c: withPorts({ http: 80 }) },
  policies: {
    "shop/anywhere": egressOf("a", [{ ports: [{ port: "http" }] }]),
    "shop/block": egressOf("b", [{ to: hostBlocks(PLAN, "d"), ports: [{ port: "http" }] }]),
  },
};

const SOURCES: ClusterDraft = {
  policies: {
    "shop/holes": ingressOf("a", [{ from: everywhereBut("c", "d") }]),
    // The pod network without one pod, and that pod: each exception belongs to its own block.
    "shop/and": ingressOf("b", [{ from: [...podNetsBut("d"), ...hostBlocks(PLAN, "d", "wan")] }]),
  },
};

const DESTINATIONS: ClusterDraft = {
  policies: {
    "shop/out": egressOf("a", [{ to: hostBlocks(PLAN, "d"), ports: [{ port: 80 }] }]),
    "shop/holes": egressOf("b", [{ to: everywhereBut("a", "e") }]),
  },
};

/** `e` runs on its node's network, so that node is no web. */
const PEERS: ClusterDraft = {
  pods: {
    e: {
      ...labelled("e", "web"), namespace: "shop", spec: { hostNetwork: true },
      addresses: ({ families, address }) => families.map((family) => address("right", family)),
    },
  },
  policies: {
    "shop/own": ingressOf("a", [{ from: [WEBS], ports: [{ port: 80 }] }]),
    "shop/both": {
      spec: {
        podSelector: only("b"), policyTypes: ["Ingress", "Egress"], ingress: [{ from: [{ podSelector: only("a") }] }],
      },
    },
    "shop/several": ingressOf("d", [{ from: [{ podSelector: only("a") }, { podSelector: only("b") }, GUESTS] }]),
  },
};

const FEWER_PEERS: ClusterDraft = {
  ...PEERS, policies: { "shop/own": ingressOf("a", [{ from: [{ podSelector: only("d") }] }]) },
};

const LISTENED: ClusterDraft = {
  policies: {
    "shop/p": ingressOf("a", [{ from: [WEBS, GUESTS] }]),
    "shop/q": ingressOf("b", [{ from: [{ podSelector: only("a") }] }]),
  },
};

/** `d` by its own labels, `c` and `e` by their namespace's: the rules stay to the letter, only members leave. */
const LEFT: ClusterDraft = { ...LISTENED, namespaces: { other: { team: "x" } }, pods: { d: labelled("d", "job") } };

const WIDE: ClusterDraft = {
  policies: {
    "shop/wall": generated(ingressOf("a", [{ from: [WEBS, GUESTS] }])),
    "shop/user": ingressOf("a", [{ from: [{ podSelector: only("b") }] }]),
    "shop/out": generated(egressOf("d", [{ to: [{ namespaceSelector: {} }] }])),
    // Alone it counts for nothing.
    "other/user": ingressOf("c", []),
  },
  enforce: "Segments", nodeTraffic: "Enforce",
};

const NARROW: ClusterDraft = {
  ...WIDE,
  policies: {
    ...WIDE.policies,
    "shop/wall": generated(ingressOf("a", [])),
    "shop/out": generated(egressOf("d", [{ to: [GUESTS] }])),
  },
};

/** `a` and `b` are next to each other, and neither is a peer. */
const SWAPPABLE: ClusterDraft = {
  policies: {
    "shop/dbs": { spec: { podSelector: { matchLabels: { tier: "db" } }, ingress: [{ from: [{ podSelector: only("d") }] }] } },
    "shop/jobs": { spec: { podSelector: { matchLabels: { tier: "job" } }, ingress: [{ from: [GUESTS] }] } },
  },
  pods: { a: labelled("a", "db"), b: labelled("b", "job") },
};

const SWAPPED: ClusterDraft = { ...SWAPPABLE, pods: { a: labelled("a", "job"), b: labelled("b", "db") } };

/** `a` leaves the rules that `b` keeps, and becomes one of their peers; `c`, in the same chain, gets a line. */
const SHARED: ClusterDraft = {
  policies: {
    "shop/webs": { spec: { podSelector: { matchLabels: { wall: "x" } }, ingress: [{ from: [WEBS] }] } },
    "other/wall": { spec: { podSelector: { matchLabels: { wall: "x" } }, ingress: [{ from: [{ podSelector: {} }] }] } },
  },
  pods: { a: { labels: { wall: "x" } }, b: { labels: { wall: "x", tier: "web" } }, c: { labels: {} } },
};

const GAINED: ClusterDraft = {
  ...SHARED, pods: { ...SHARED.pods, a: { labels: { tier: "web" } }, c: { labels: { wall: "x" } } },
};

export const PITFALLS: readonly Pitfall[] = [
  pitfall("ports, and the names that destinations give them", PORTS, NAMES_OF_OTHERS),
  pitfall("blocks with exceptions, at either end", SOURCES, DESTINATIONS),
  pitfall("peers of the own namespace, of another, of the node", PEERS, FEWER_PEERS),
  pitfall("peers that leave while the rules stay", LISTENED, LEFT),
  pitfall("a wall that narrows beside a user's policy", WIDE, NARROW),
  pitfall("neighbours that swap their labels while all policies stay", SWAPPABLE, SWAPPED),
  pitfall("a pod that leaves rules whose peers it joins", SHARED, GAINED),
];

function pitfall(name: string, before: ClusterDraft, after: ClusterDraft): Pitfall {
  return { name, before: rawCluster(before, PLAN), after: rawCluster(after, PLAN) };
}

/** Everything, also what is not in the cluster, without these. */
function everywhereBut(...hosts: readonly Host[]): readonly object[] {
  return blockPeers(PLAN, anyBlock, (family) => alone(hosts, family));
}

function podNetsBut(...hosts: readonly Host[]): readonly object[] {
  const nets: Readonly<Record<Family, string>> = { ipv4: "10.101.0.0/16", ipv6: "fd00:10:101::/48" };
  return blockPeers(PLAN, (family) => nets[family], (family) => alone(hosts, family));
}

function alone(hosts: readonly Host[], family: Family): readonly string[] {
  return hosts.map((host) => block(PLAN, host, 0, family));
}
