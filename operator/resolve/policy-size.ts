import type { NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec } from "../api/network-policy.ts";
import type { ResolvedPolicy } from "../api/node-state.ts";

/**
 * Each block may be a rule for each port, and each peer a set for each port's name: a policy of some kilobytes can ask
 * for millions of them, and with one such policy somebody could make every node of his pods stand still.
 */
const MOST_PAIRS = 50_000;
/** A policy is one line of a stream, and no character of it has more than three bytes there. */
const MOST_CHARACTERS = 1_000_000;
/** Fewer pairs than this are no long line. */
const FEW_PAIRS = 1_000;

/** What of a spec is more than nodes take, in words; `undefined` = nothing. To be asked before it is resolved. */
export function tooManyPairs({ ingress, egress }: NetworkPolicySpec): string | undefined {
  const pairs = pairsOf(ingress, egress);
  if (pairs <= MOST_PAIRS) return undefined;
  return `spec, whose ${pairs} pairs of a peer and a port are more than the ${MOST_PAIRS} that nodes take`;
}

/** The same of what has come of it. */
export function tooLong({ ingress, egress }: NetworkPolicySpec, resolved: ResolvedPolicy): string | undefined {
  if (pairsOf(ingress, egress) <= FEW_PAIRS) return undefined;
  const { length } = JSON.stringify(resolved);
  if (length <= MOST_CHARACTERS) return undefined;
  return `spec, whose rules of ${length} characters are more than the ${MOST_CHARACTERS} that nodes take`;
}

/** Exceptions count once: they become a set. */
function pairsOf(ingress: NetworkPolicySpec["ingress"], egress: NetworkPolicySpec["egress"]): number {
  const inbound = ingress.map(({ from, ports }) => pairsOfRule(from, ports));
  const outbound = egress.map(({ to, ports }) => pairsOfRule(to, ports));
  return [...inbound, ...outbound].reduce((sum, pairs) => sum + pairs, 0);
}

function pairsOfRule(peers: readonly NetworkPolicyPeer[] = [], ports: readonly NetworkPolicyPort[] = []): number {
  const except = peers.reduce((sum, { ipBlock }) => sum + (ipBlock?.except?.length ?? 0), 0);
  return Math.max(1, peers.length) * Math.max(1, ports.length) + except;
}
