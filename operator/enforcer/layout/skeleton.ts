import type { Family } from "./family.ts";
import type { Prefix } from "./prefix.ts";
import { prefixText } from "./prefix.ts";
import type { ChainName, Match, Rule } from "./rule.ts";
import { DROP, RETURN, rule, within } from "./rule.ts";

/** The chain that FORWARD jumps to first. */
export const FORWARD_CHAIN = "TW-FWD" as ChainName;
export const EGRESS_CHAIN = "TW-E" as ChainName;
export const INGRESS_CHAIN = "TW-I" as ChainName;
/** Judges a packet whose connection has no verdict of this generation yet. */
export const NEW_CHAIN = "TW-NEW" as ChainName;
export const DROP_CHAIN = "TW-DROP" as ChainName;
const ESTABLISHED_CHAIN = "TW-EST" as ChainName;

const REPLY: Match = { kind: "tracked", direction: "REPLY" };

/**
 * The chains that every packet passes, whatever the policies. `local` covers the addresses of the node's own pods.
 * Connections that both directions allow are marked with the generation, and their next packets take one rule.
 */
export function skeleton(local: readonly Prefix[], family: Family): ReadonlyMap<ChainName, readonly Rule[]> {
  const nets = local.map((prefix) => prefixText(prefix, family));
  const sources = nets.map((net) => within("source", net));
  const destinations = nets.map((net) => within("destination", net));
  return new Map([
    [
      FORWARD_CHAIN,
      [
        rule([{ kind: "mark", mark: "generation" }, { kind: "state" }], RETURN),
        rule([{ kind: "tracked", state: "! NEW" }], { kind: "goto", chain: ESTABLISHED_CHAIN }),
        rule([], { kind: "goto", chain: NEW_CHAIN }),
      ],
    ],
    [
      ESTABLISHED_CHAIN,
      [
        // Before the cut: an ICMP error carries the mark of the connection that it is about.
        rule([{ kind: "tracked", state: "RELATED" }], RETURN),
        rule([{ kind: "mark", mark: "denied" }, REPLY], DROP),
        rule([{ kind: "tracked", state: "ESTABLISHED", direction: "REPLY" }], RETURN),
        rule([], { kind: "goto", chain: NEW_CHAIN }),
      ],
    ],
    [
      NEW_CHAIN,
      [
        // Egress first; only what comes back from both is marked.
        ...sources.map((source) => rule(source, { kind: "jump", chain: EGRESS_CHAIN })),
        ...destinations.map((destination) => rule(destination, { kind: "jump", chain: INGRESS_CHAIN })),
        ...[...sources, ...destinations].map((side) => rule(side, { kind: "mark", mark: "generation" })),
      ],
    ],
    [DROP_CHAIN, [rule([], { kind: "mark", mark: "denied" }), rule([], DROP)]],
  ]);
}
