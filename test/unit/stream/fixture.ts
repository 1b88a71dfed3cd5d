import type {
  LocalPod, NodeDelta, NodeState, PeerSet, PeerSetDelta, PeerSetId, PodUid, PolicyId, ResolvedPolicy,
} from "../../../operator/api/node-state.ts";

export const WEB = "shop/web" as PolicyId;
export const CLIENTS = "clients" as PeerSetId;
export const DB = "uid-db" as PodUid;

export const policy: ResolvedPolicy = {
  id: WEB,
  segment: "shop",
  ingress: [{
    peers: { sets: [CLIENTS], blocks: [{ cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] }] },
    ports: [{ protocol: "TCP", port: 80, endPort: 90 }, { protocol: "UDP", name: "dns" }, { protocol: "SCTP" }],
    endpoints: [],
  }],
  egress: [{ peers: "any", ports: "any", endpoints: [] }],
};

export const pod: LocalPod = {
  uid: DB,
  namespace: "shop",
  name: "db",
  addresses: ["10.2.0.1", "fd00::1"],
  ports: [{ name: "dns", protocol: "UDP", port: 53 }],
  ingress: [WEB],
  egress: [],
};

/** Open as before; SegmentPolicy `next` would isolate it for ingress. */
export const audited: LocalPod = {
  ...pod,
  uid: "uid-audited" as PodUid,
  addresses: ["10.2.0.2"],
  audits: [{ policy: "next", tier: "db", ingress: [WEB], egress: [] }],
};

export function setOf(...members: readonly string[]): PeerSet {
  return { kind: "address", members: new Set(members) };
}

/** `count` different addresses. */
export function addresses(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`);
}

export function stateOf(set: PeerSet): NodeState {
  return {
    policies: new Map([[WEB, policy]]),
    pods: new Map([[DB, pod]]),
    peers: new Map([[CLIENTS, set]]),
    generations: new Map([["shop", { generation: 3, revision: "abc" }]]),
  };
}

export const EMPTY: NodeState = { policies: new Map(), pods: new Map(), peers: new Map(), generations: new Map() };

export function peersDelta(change: Partial<PeerSetDelta> | undefined): NodeDelta {
  const delta = change && { kind: "address" as const, add: [], remove: [], ...change };
  return { ...EMPTY, peers: new Map([[CLIENTS, delta]]) };
}
