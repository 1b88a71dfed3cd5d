import { canonicalJson } from "../api/canonical-json.ts";
import type { SegmentPolicySpec, Tier, TierPort, TierRule } from "../api/segment-policy.ts";

/**
 * Pairs of tiers of which both sides speak, with different ports, in words. What holds is the union; what was meant may
 * be one of them.
 */
export function disagreements({ tiers }: SegmentPolicySpec): readonly string[] {
  return tiers.flatMap((client) =>
    tiers.flatMap((server) => {
      const into = portsOf(server.ingress, client);
      const outOf = portsOf(client.egress, server);
      if (into === undefined || outOf === undefined || canonicalJson(into) === canonicalJson(outOf)) return [];
      const pair = `${client.name} to ${server.name}`;
      return [`${pair}: egress of ${client.name} says ${told(outOf)}, ingress of ${server.name} says ${told(into)}`];
    }),
  );
}

/** `"any"`, or the ports as sorted texts with ranges joined; `undefined` where no rule names the tier. */
function portsOf(rules: readonly TierRule[], tier: Tier): "any" | readonly string[] | undefined {
  const naming = rules.filter(({ peers }) => peers.some((peer) => peer.kind === "tier" && peer.tier === tier.name));
  if (naming.length === 0) return undefined;
  const ports: TierPort[] = [];
  for (const rule of naming) {
    if (rule.ports === "any") return "any";
    ports.push(...rule.ports);
  }
  return (["TCP", "UDP", "SCTP"] as const).flatMap((protocol) => {
    const own = ports.filter((port) => port.protocol === protocol);
    const names = own.flatMap(({ port }) => (typeof port === "string" ? [`${protocol} ${port}`] : []));
    return [...joinedRanges(own).map((range) => `${protocol} ${range}`), ...[...new Set(names)].toSorted()];
  });
}

function joinedRanges(ports: readonly TierPort[]): readonly string[] {
  const ranges = ports
    .flatMap(({ port, endPort }) => (typeof port === "number" ? [{ first: port, last: endPort ?? port }] : []))
    .toSorted((a, b) => a.first - b.first);
  const joined: { first: number; last: number }[] = [];
  for (const range of ranges) {
    const open = joined.at(-1);
    if (open !== undefined && range.first <= open.last + 1) open.last = Math.max(open.last, range.last);
    else joined.push({ ...range });
  }
  return joined.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
}

function told(ports: "any" | readonly string[]): string {
  return ports === "any" ? "every port" : ports.join(", ");
}
