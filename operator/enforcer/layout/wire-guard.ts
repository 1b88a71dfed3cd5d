import type { Family } from "./family.ts";
import type { LayoutOptions } from "./options.ts";
import type { ChainName, Match, Rule } from "./rule.ts";
import { DROP, RETURN, rule } from "./rule.ts";

/** Judges what only a bridge carries from pod to pod: frames that no router would pass on. */
export const WIRE_CHAIN = "TW-WIRE" as ChainName;

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
 */
export function wireGuard(family: Family, { bridged, lacks }: LayoutOptions, anyIsolated: boolean): WireGuard {
  if (!bridged || !anyIsolated) return NONE;
  const crossing: readonly Match[] = lacks.has("physdev") ? [] : [{ kind: "bridged" }];
  if (family === "ipv6") {
    return {
      matches: [
        [{ kind: "source", net: "fe80::/10" }],
        [{ kind: "destination", net: "fe80::/10" }],
        [{ kind: "destination", net: "ff00::/8" }],
      ],
      rules: [rule(crossing, DROP)],
    };
  }
  // A broadcast to the bridge's own network looks like any other address then: the node says that it is not stopped.
  const broadcast: Match = lacks.has("pkttype")
    ? { kind: "destination", net: "255.255.255.255/32" }
    : { kind: "packet type", type: "broadcast" };
  return {
    matches: [[{ kind: "destination", net: "224.0.0.0/4" }], [broadcast]],
    rules: [rule([{ kind: "protocol", protocol: "igmp" }], RETURN), rule(crossing, DROP)],
  };
}
