import type { Protocol } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";

export type ChainName = string & { readonly __brand: "ChainName" };
export type SetName = string & { readonly __brand: "SetName" };

/** One `iptables -A` line. Its marks get their values when it is rendered: a new generation needs no new layout. */
export interface Rule {
  readonly matches: readonly Match[];
  readonly target: Target;
}

export type Match =
  | { readonly kind: "source"; readonly net: string }
  | { readonly kind: "destination"; readonly net: string }
  /** Neither end is in the network. */
  | { readonly kind: "elsewhere"; readonly net: string }
  /** The packet came in by the loopback interface. */
  | { readonly kind: "loopback" }
  | { readonly kind: "protocol"; readonly protocol: Protocol | "ipv6-icmp" | "igmp" }
  /** Destination ports, both ends included. */
  | { readonly kind: "ports"; readonly protocol: Protocol; readonly from: number; readonly to: number }
  /** TCP, but not the first packet of a connection. */
  | { readonly kind: "midstream" }
  | { readonly kind: "icmp6"; readonly type: number }
  /** Which side of the packet is looked up; `"dst,dst"` looks up its destination address with protocol and port. */
  | { readonly kind: "set"; readonly set: SetName; readonly side: SetSide }
  /** Of a packet without a connection only the state is looked at. */
  | {
      readonly kind: "tracked";
      readonly state?: ConnectionState;
      readonly status?: "! CONFIRMED";
      readonly direction?: "REPLY";
    }
  | { readonly kind: "mark"; readonly mark: MarkName; readonly not?: true }
  /** Source and destination are the same address. */
  | { readonly kind: "to itself"; readonly family: Family }
  /** From one port of a bridge to another. */
  | { readonly kind: "bridged" }
  | { readonly kind: "packet type"; readonly type: "broadcast" | "multicast" }
  /** Not more often than so; a burst may be as many at once. */
  | { readonly kind: "limit"; readonly perSecond: number }
  /** Matches always; says for which ruleset the rules were written. */
  | { readonly kind: "state" };

export type ConnectionState = "NEW" | "RELATED" | "ESTABLISHED" | "! RELATED,ESTABLISHED";

export type SetSide = "src" | "dst" | "dst,dst";

/** `generation`: judged and allowed under the rules of now. `denied`: an established connection that was cut. */
export type MarkName = "generation" | "denied";

export type Target =
  | { readonly kind: "return" }
  | { readonly kind: "drop" }
  | { readonly kind: "jump"; readonly chain: ChainName }
  /** A RETURN in that chain, or its end, comes back to the caller of the last jump. */
  | { readonly kind: "goto"; readonly chain: ChainName }
  | { readonly kind: "mark"; readonly mark: MarkName }
  /** A copy of the packet's head goes to whoever listens, with the name of the chain. */
  | { readonly kind: "log"; readonly chain: ChainName };

export const RETURN: Target = { kind: "return" };
export const DROP: Target = { kind: "drop" };

export function rule(matches: readonly Match[], target: Target): Rule {
  return { matches, target };
}

/** Matches on one side's network; none for the whole of a family, which iptables takes for no match anyway. */
export function within(side: "source" | "destination", net: string): readonly Match[] {
  return net.endsWith("/0") ? [] : [{ kind: side, net }];
}

/** Sets that rules look up, in their order. */
export function setsOf(rules: readonly Rule[]): readonly SetName[] {
  return rules.flatMap(({ matches }) => matches.flatMap((match) => (match.kind === "set" ? [match.set] : [])));
}

export function goto(chain: ChainName): Target {
  return { kind: "goto", chain };
}

export function jump(chain: ChainName): Target {
  return { kind: "jump", chain };
}

export function log(chain: ChainName): Target {
  return { kind: "log", chain };
}

export function mark(name: MarkName): Target {
  return { kind: "mark", mark: name };
}
