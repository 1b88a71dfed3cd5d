import type { Family } from "./family.ts";
import type { LayoutOptions } from "./options.ts";
import type { ChainName, Match, Rule } from "./rule.ts";
import { goto, RETURN, rule } from "./rule.ts";

/** Judges what only a bridge carries from pod to pod: frames that no router would pass on. */
export const WIRE_CHAIN = "TW-WIRE" as ChainName;
/** Every interface of IPv6 has such an address of its own. */
export const LINK_LOCAL = "fe80::/10";

/** What a bridge needs so that isolated pods cannot be reached around their addresses. */
export interface WireGuard {
  /** Which packets are to be looked at. */
  readonly matches: readonly (readonly Match[])[];
  readonly rules: readonly Rule[];
}

const NONE: WireGuard = { matches: [], rules: [] };

/**
 * IPv6 link-local addresses stand in no peer set and no leaf, and broadcasts and multicasts name no pod: between the
 * ports of a bridge they would reach isolated pods. Discovery has passed before; group membership (IGMP) passes here.
 * @param anyClosed some pod of the node, known or not, is not open @param end drops
 */
export function wireGuard(family: Family, { bridged, lacks }: LayoutOptions, anyClosed: boolean, end: ChainName): WireGuard {
  if (!bridged || !anyClosed) return NONE;
  const crossing: readonly Match[] = lacks.has("physdev") ? [] : [{ kind: "bridged" }];
  if (family === "ipv6") {
    return {
      matches: [
        [{ kind: "source", net: LINK_LOCAL }],
        [{ kind: "destination", net: LINK_LOCAL }],
        [{ kind: "destination", net: "ff00::/8" }],
      ],
      rules: [rule(crossing, goto(end))],
    };
  }
  // A broadcast to the bridge's own network looks like any other address then: the node says that it is not stopped.
  const broadcast: Match = lacks.has("pkttype")
    ? { kind: "destination", net: "255.255.255.255/32" }
    : { kind: "packet type", type: "broadcast" };
  return {
    matches: [[{ kind: "destination", net: "224.0.0.0/4" }], [broadcast]],
    rules: [rule([{ kind: "protocol", protocol: "igmp" }], RETURN), rule(crossing, goto(end))],
  };
}
