import { canonicalJson } from "../api/canonical-json.ts";
import type { EgressRule, IngressRule, NetworkPolicy, NetworkPolicyPeer } from "../api/network-policy.ts";
import type { Gap, Part } from "./part.ts";
import { canonicalRules, type DraftRule } from "./rules.ts";

/**
 * The part with what is live of its missing rules: after a restart, facts that have not been seen again yet must cut
 * nobody. Only rules of the form that the fact would have are held, so nothing becomes wider than it is.
 */
export function holdLive(part: Part, live: NetworkPolicy | undefined): Part {
  if (part.gaps.length === 0 || live === undefined) return part;
  const ingress = held(
    "ingress",
    part,
    part.spec.ingress.map(({ from, ports }) => draft(from, ports)),
    live.spec.ingress.map(({ from, ports }) => draft(from, ports)),
  );
  const egress = held(
    "egress",
    part,
    part.spec.egress.map(({ to, ports }) => draft(to, ports)),
    live.spec.egress.map(({ to, ports }) => draft(to, ports)),
  );
  return {
    ...part,
    spec: {
      ...part.spec,
      ingress: ingress.map(({ peers, ports }) => ({ ...listed("from", peers), ...listed("ports", ports) })),
      egress: egress.map(({ peers, ports }) => ({ ...listed("to", peers), ...listed("ports", ports) })),
    },
  };
}

function held(
  direction: Gap["direction"],
  { gaps }: Part,
  compiled: readonly DraftRule[],
  live: readonly DraftRule[],
): readonly DraftRule[] {
  const missing = gaps.filter((gap) => gap.direction === direction);
  if (missing.length === 0) return compiled;
  const known = new Set(compiled.map((rule) => canonicalJson(rule)));
  const strange = live.filter((rule) => !known.has(canonicalJson(rule)));
  const kept = strange.filter((rule) => missing.some((gap) => fits(rule, gap, compiled)));
  // A held rule may be one of ours with more peers: the DNS rule, whose Service is what is not known.
  const widened = (rule: DraftRule) =>
    kept.some((other) => samePorts(other.ports, rule.ports) && includes(other.peers, rule.peers));
  return canonicalRules([...compiled.filter((rule) => !widened(rule)), ...kept]);
}

/** Whether a live rule can have come from the fact: its addresses, beside peers that the rule has anyway. */
function fits({ peers, ports }: DraftRule, gap: Gap, compiled: readonly DraftRule[]): boolean {
  if (peers === "any") return false;
  const fromFact = peers.filter((peer) => isBlock(peer));
  const others = peers.filter((peer) => !isBlock(peer));
  if (fromFact.length === 0) return false;
  if (gap.ports === undefined) {
    return ports !== "any" && others.length === 0 && ports.every(({ protocol }) => protocol === "TCP");
  }
  if (!samePorts(ports, gap.ports)) return false;
  return (
    others.length === 0 || compiled.some((rule) => samePorts(rule.ports, ports) && includes(rule.peers, others))
  );
}

function isBlock({ ipBlock }: NetworkPolicyPeer): boolean {
  return ipBlock !== undefined && ipBlock.except === undefined;
}

function includes(peers: DraftRule["peers"], wanted: DraftRule["peers"]): boolean {
  if (peers === "any" || wanted === "any") return false;
  const texts = new Set(peers.map((peer) => canonicalJson(peer)));
  return wanted.every((peer) => texts.has(canonicalJson(peer)));
}

function samePorts(a: DraftRule["ports"], b: DraftRule["ports"]): boolean {
  const text = (ports: DraftRule["ports"]) =>
    ports === "any" ? "any" : [...new Set(ports.map((port) => canonicalJson(port)))].toSorted().join();
  return text(a) === text(b);
}

function draft(
  peers: (IngressRule["from"] & EgressRule["to"]) | undefined,
  ports: IngressRule["ports"] | undefined,
): DraftRule {
  return { peers: peers ?? "any", ports: ports ?? "any" };
}

function listed(key: "from" | "to" | "ports", list: "any" | readonly unknown[]) {
  return list === "any" ? {} : { [key]: list };
}
