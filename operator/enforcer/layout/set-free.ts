import type { Family } from "./family.ts";
import { ADDRESS_BITS } from "./family.ts";
import type { Prefix } from "./prefix.ts";
import { parsePrefix, prefixText, subtract } from "./prefix.ts";
import type { Match, Rule, SetName } from "./rule.ts";
import { rule } from "./rule.ts";
import type { AddressSet } from "./ruleset.ts";

/**
 * The same lines for a kernel that has no sets: each line with a set becomes one for each of its members. Costs a
 * compare for every member, and makes a new class whenever a member comes or goes; it holds all the same.
 */
export function withoutSets(
  rules: readonly Rule[],
  sets: ReadonlyMap<SetName, AddressSet>,
  family: Family,
): readonly Rule[] {
  return rules.flatMap(({ matches, target }) => {
    const alternatives = matches.map((match) => {
      return match.kind === "set" ? membersOf(match.side, sets.get(match.set), family) : [[match]];
    });
    return product(alternatives).map((line) => rule(tidy(line), target));
  });
}

/** For each member of a set, what it is to match the member alone. */
function membersOf(side: string, set: AddressSet | undefined, family: Family): readonly (readonly Match[])[] {
  if (set === undefined) return [];
  const members = [...set.members].toSorted();
  if (set.type === "hash:net") return blockNets(members, side, family);
  return members.map((member): readonly Match[] => {
    const [address = "", endpoint = ""] = member.split(",");
    const net = `${address}/${ADDRESS_BITS[family]}`;
    if (set.type === "hash:ip") return [{ kind: side === "src" ? "source" : "destination", net }];
    const [protocol = "", port = ""] = endpoint.split(":");
    const proto = protocol === "tcp" ? "TCP" : protocol === "udp" ? "UDP" : "SCTP";
    const number = Number(port);
    return [{ kind: "destination", net }, { kind: "ports", protocol: proto, from: number, to: number }];
  });
}

/** A block without its exceptions as plain networks. */
function blockNets(members: readonly string[], side: string, family: Family): readonly (readonly Match[])[] {
  const parse = (text: string): Prefix => {
    const net = undotted(text);
    return parsePrefix(net.includes("/") ? net : `${net}/${ADDRESS_BITS[family]}`, family);
  };
  const [holes, nets] = [" nomatch", ""].map((flag) => {
    return members.filter((member) => member.endsWith(" nomatch") === (flag !== "")).map((member) => {
      return parse(member.replace(" nomatch", ""));
    });
  });
  const kind = side === "src" ? "source" : "destination";
  return (nets ?? []).flatMap((net) => subtract(net, holes ?? [], family)).map((net) => {
    return [{ kind, net: prefixText(net, family) } as const];
  });
}

/** An IPv6 address that ends as IPv4 does, as the kernel's tools print some, with groups alone. */
function undotted(text: string): string {
  return text.replace(/(?<=:)(\d+)\.(\d+)\.(\d+)\.(\d+)/, (_, ...octets: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = octets.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
}

function product(alternatives: readonly (readonly (readonly Match[])[])[]): readonly (readonly Match[])[] {
  return alternatives.reduce<readonly (readonly Match[])[]>(
    (lines, choices) => lines.flatMap((line) => choices.map((choice) => [...line, ...choice])),
    [[]],
  );
}

/** A line takes one address a side and one protocol: the narrower stands for both. */
function tidy(matches: readonly Match[]): readonly Match[] {
  const hasPorts = matches.some(({ kind }) => kind === "ports");
  return matches.filter((match, index) => {
    if (match.kind === "protocol") return !hasPorts;
    if (match.kind !== "source" && match.kind !== "destination") return true;
    return !matches.some((other, at) => at > index && other.kind === match.kind);
  });
}
