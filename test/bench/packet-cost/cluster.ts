import type { PodDraft, PolicyDraft, RuleDraft, StateDraft } from "../../packets/enforcer-state.ts";

/** How much there is to enforce. */
export interface Size {
  /** On the node. */
  readonly pods: number;
  /** In the cluster. */
  readonly policies: number;
  /** Policies that select each pod. */
  readonly perPod: number;
}

/** A node, the policies of its cluster, and a flow that the last rules allow. */
export interface Cluster {
  /** Pods of the node in the order of their addresses. */
  readonly pods: readonly PodDraft[];
  /** All the cluster's policies, in the order of their names. */
  readonly policies: ReadonlyMap<string, Policy>;
  readonly flow: Flow;
}

/** Allows `peers` on `port` in both directions. */
export interface Policy {
  readonly port: number;
  readonly peers: readonly string[];
}

export interface Flow {
  /** The node's last pod but one, isolated for egress. */
  readonly local: string;
  /** A pod of another node. */
  readonly remote: string;
  /** The node's last pod, isolated for ingress. */
  readonly server: string;
  /** Nobody's peer. */
  readonly denied: string;
  readonly port: number;
}

/** Ports of the policies: a cluster has few. All have as many digits, so that the allowed one sorts last. */
const PORTS = 8;
const FIRST_PORT = 8000;
const PEERS = 20;
const REMOTE = "10.2.255.1";
const DENIED = "10.3.255.1";

/**
 * Pods come in twos with the same policies, as replicas do, each policy with a port and peers of its own. The pods of
 * the flow are the node's last two; of their policies only the last one allows it, on a port that sorts behind the
 * others. No policy is where it would be found early.
 */
export function cluster({ pods: count, policies: total, perPod }: Size): Cluster {
  const groups = Math.ceil(count / 2);
  const selecting = (pod: number): readonly string[] => {
    const group = Math.floor(pod / 2);
    const first = Math.floor((group * total) / groups);
    return Array.from({ length: perPod }, (_, index) => policyName((first + index) % total)).toSorted();
  };
  const addresses = Array.from({ length: count }, (_, pod) => `10.1.0.${pod + 2}`);
  const pods = addresses.map((address, pod) => ({ address, ingress: selecting(pod), egress: selecting(pod) }));
  const [local = "", server = ""] = addresses.slice(-2);
  const allowing = selecting(count - 1).at(-1);
  const port = FIRST_PORT + PORTS;
  const policies = Array.from({ length: total }, (_, index): [string, Policy] => {
    const name = policyName(index);
    const peers = Array.from({ length: PEERS }, (_, peer) => `10.2.${(index * 7) % 250}.${peer + 2}`);
    if (name !== allowing) return [name, { port: FIRST_PORT + (index % PORTS), peers }];
    return [name, { port, peers: [...peers, local, server, REMOTE] }];
  });
  return { pods, policies: new Map(policies), flow: { local, remote: REMOTE, server, denied: DENIED, port } };
}

/** What the operator would send to the node: only the policies that select its pods, and their peers. */
export function stateOf({ pods, policies }: Cluster): StateDraft {
  const selecting = new Set(pods.flatMap(({ ingress = [] }) => ingress));
  const local = [...policies].filter(([name]) => selecting.has(name));
  const rules = (name: string, port: number): readonly RuleDraft[] => {
    return [{ peers: [name], ports: [{ protocol: "UDP", port }] }];
  };
  return {
    pods: Object.fromEntries(pods.map((pod, index) => [`pod-${index}`, pod])),
    policies: Object.fromEntries(local.map(([name, { port }]): [string, PolicyDraft] => {
      return [name, { ingress: rules(name, port), egress: rules(name, port) }];
    })),
    peers: Object.fromEntries(local.map(([name, { peers }]) => [name, peers])),
  };
}

function policyName(index: number): string {
  return `p${String(index).padStart(5, "0")}`;
}
