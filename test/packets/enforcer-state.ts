import type {
  LocalPod,
  NodeState,
  PeerSetId,
  PodAudit,
  PodUid,
  PolicyId,
  ResolvedPeers,
  ResolvedPort,
  ResolvedRule,
} from "../../operator/api/node-state.ts";
import type { IPBlock } from "../../operator/api/network-policy.ts";

/** A node's state in the short form in which the cases are written. */
export interface StateDraft {
  readonly pods?: Readonly<Record<string, PodDraft>>;
  readonly policies?: Readonly<Record<string, PolicyDraft>>;
  readonly peers?: Readonly<Record<string, readonly string[]>>;
}

export interface PodDraft {
  readonly address: string;
  readonly uid?: string;
  readonly ports?: LocalPod["ports"];
  readonly ingress?: readonly string[];
  readonly egress?: readonly string[];
  readonly audits?: readonly AuditDraft[];
}

export interface AuditDraft {
  readonly policy: string;
  readonly tier?: string;
  readonly ingress?: readonly string[];
  readonly egress?: readonly string[];
}

export interface PolicyDraft {
  readonly ingress?: readonly RuleDraft[];
  readonly egress?: readonly RuleDraft[];
}

export interface RuleDraft {
  /** `"any"`, or names of peer sets and CIDRs with their exceptions. */
  readonly peers: "any" | readonly (string | IPBlock)[];
  readonly ports?: readonly ResolvedPort[];
  readonly endpoints?: readonly string[];
}

export function nodeState({ pods = {}, policies = {}, peers = {} }: StateDraft): NodeState {
  return {
    pods: new Map(Object.entries(pods).map(([name, draft]) => pod(name, draft)).map((made) => [made.uid, made])),
    policies: new Map(Object.entries(policies).map(([name, { ingress = [], egress = [] }]) => {
      const id = name as PolicyId;
      return [id, { id, ingress: ingress.map(resolved), egress: egress.map(resolved) }];
    })),
    peers: new Map(Object.entries(peers).map(([name, members]) => {
      const kind = members.some((member) => member.includes(",")) ? ("endpoint" as const) : ("address" as const);
      return [name as PeerSetId, { kind, members: new Set(members) }];
    })),
    generations: new Map(),
  };
}

/** A NodeState that went through JSON as a draft. */
export function readState(draft: unknown): NodeState {
  return nodeState(draft as StateDraft);
}

function pod(name: string, { address, uid, ports = [], ingress = [], egress = [], audits }: PodDraft): LocalPod {
  return {
    uid: (uid ?? `uid-${name}`) as PodUid,
    namespace: "default",
    name,
    addresses: [address],
    ports,
    ingress: ingress.map((id) => id as PolicyId),
    egress: egress.map((id) => id as PolicyId),
    ...(audits && { audits: audits.map(audit) }),
  };
}

function audit({ policy, tier = "", ingress = [], egress = [] }: AuditDraft): PodAudit {
  return {
    policy,
    tier,
    ingress: ingress.map((id) => id as PolicyId),
    egress: egress.map((id) => id as PolicyId),
  };
}

function resolved({ peers, ports, endpoints = [] }: RuleDraft): ResolvedRule {
  return { peers: resolvedPeers(peers), ports: ports ?? "any", endpoints: endpoints.map((id) => id as PeerSetId) };
}

function resolvedPeers(peers: RuleDraft["peers"]): ResolvedPeers {
  if (peers === "any") return "any";
  return {
    sets: peers.filter((peer) => typeof peer === "string").map((id) => id as PeerSetId),
    blocks: peers.filter((peer) => typeof peer !== "string"),
  };
}
