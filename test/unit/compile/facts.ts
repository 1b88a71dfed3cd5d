import { selects } from "../../../operator/api/label-selector.ts";
import type { Labels } from "../../../operator/api/meta.ts";
import { mergeAddresses, networkText, nodeAddresses } from "../../../operator/compile/address-blocks.ts";
import type { Facts } from "../../../operator/compile/facts.ts";

export interface GivenNode {
  readonly labels: Labels;
  readonly addresses: readonly string[];
  readonly podCIDRs: readonly string[];
}

export const NODES: readonly GivenNode[] = [
  { labels: { role: "edge" }, addresses: ["192.168.0.4", "fd00:1::4"], podCIDRs: ["10.244.0.0/24", "fd00:2::/64"] },
  { labels: { role: "edge" }, addresses: ["192.168.0.5", "203.0.113.9"], podCIDRs: ["10.244.1.0/24"] },
  { labels: { role: "worker" }, addresses: ["192.168.0.6"], podCIDRs: [] },
];

/** A cluster in which everything is known. */
export const FACTS: Facts = {
  dns: {
    peers: [
      {
        podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
      },
      { ipBlock: { cidr: "10.96.0.10/32" } },
    ],
    ports: [53],
    unknown: [],
    stale: [],
  },
  apiServer: { blocks: ["192.168.0.2/32", "192.168.0.3/32"], ports: [{ protocol: "TCP", port: 6443 }] },
  excludedNamespaces: ["kube-system", "kube-public", "kube-node-lease", "tierwall-system"],
  nodes: (selector) => {
    const matching = NODES.filter(({ labels }) => selects(selector, labels));
    const blocks = mergeAddresses(matching.flatMap(nodeAddresses)).map(networkText);
    return { blocks: blocks.length === 0 ? undefined : blocks };
  },
};

/** The same cluster just after a restart: nothing but the DNS pods' labels, which are settings, is known. */
export const NO_FACTS: Facts = {
  dns: { ...FACTS.dns, peers: FACTS.dns.peers.slice(0, 1), unknown: ["the address of Service kube-system/kube-dns"] },
  apiServer: undefined,
  excludedNamespaces: FACTS.excludedNamespaces,
  nodes: () => ({ blocks: undefined }),
};
