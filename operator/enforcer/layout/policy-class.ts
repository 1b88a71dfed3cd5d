import type { PeerSetId, ResolvedPolicy, ResolvedPort } from "../../api/node-state.ts";
import type { Direction, IPBlock } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import { familyOf } from "./family.ts";
import type { PortGroup } from "./port-group.ts";
import { groupByPort, sortedBlocks } from "./port-group.ts";
import { parsePrefix, prefixText } from "./prefix.ts";
import type { ChainName, Match, Rule, SetName } from "./rule.ts";
import { RETURN, rule, setsOf, within } from "./rule.ts";
import { contentName } from "./ruleset.ts";
import type { SetShelf } from "./set-shelf.ts";
import { DROP_CHAIN } from "./skeleton.ts";

/** A set of policies in one direction, shared by all pods that they select. RETURN = allowed; else `end` follows. */
export interface PolicyClass {
  readonly name: ChainName;
  readonly rules: readonly Rule[];
  /** Sets that the rules look up. */
  readonly sets: ReadonlySet<SetName>;
}

/** What a class is made of. */
export interface ClassPlan {
  readonly policies: readonly ResolvedPolicy[];
  readonly direction: Direction;
  readonly shelf: SetShelf;
  readonly family: Family;
  /** The chain that packets go to which nothing allows. */
  readonly end: ChainName;
  /** What the kernel can do of the lines that allow; it may only leave out or take apart. */
  readonly possible: (rules: readonly Rule[]) => readonly Rule[];
}

/** Compiles the union of the policies' rules of one direction. No policies allow nothing. */
export function policyClass({ policies, direction, shelf, family, end, possible }: ClassPlan): PolicyClass {
  const resolved = policies.flatMap((policy) => (direction === "Ingress" ? policy.ingress : policy.egress));
  const groups = groupByPort(resolved);
  const line = new ClassLines(direction, shelf, family);
  // Cheapest first: plain compares, then one set lookup, then two.
  const allow = possible([
    ...groups.flatMap((group) => line.forAnyone(group)),
    ...groups.flatMap((group) => line.forBlocks(group)),
    ...groups.flatMap((group) => line.forPeers(group)),
    ...line.forEndpoints(new Set(resolved.flatMap(({ endpoints }) => endpoints))),
  ]);
  const open = allow.find(({ matches }) => matches.length === 0);
  const rules = open ? [open] : [...allow, rule([], { kind: "goto", chain: end })];
  const label = `${end === DROP_CHAIN ? "C" : "AC"}${direction === "Ingress" ? "I" : "E"}`;
  return { name: contentName(label, rules) as ChainName, rules, sets: new Set(setsOf(rules)) };
}

class ClassLines {
  readonly #shelf: SetShelf;
  readonly #family: Family;
  readonly #side: "source" | "destination";
  readonly #setSide: "src" | "dst";

  constructor(direction: Direction, shelf: SetShelf, family: Family) {
    this.#shelf = shelf;
    this.#family = family;
    this.#side = direction === "Ingress" ? "source" : "destination";
    this.#setSide = direction === "Ingress" ? "src" : "dst";
  }

  forAnyone({ anyone, port }: PortGroup): readonly Rule[] {
    return anyone ? [rule(this.#port(port), RETURN)] : [];
  }

  forBlocks(group: PortGroup): readonly Rule[] {
    if (group.anyone) return [];
    const blocks = sortedBlocks(group).filter(({ cidr }) => familyOf(cidr) === this.#family);
    return blocks.map((block) => rule([...this.#block(block), ...this.#port(group.port)], RETURN));
  }

  forPeers({ anyone, port, sets }: PortGroup): readonly Rule[] {
    if (anyone || sets.size === 0) return [];
    const peers: Match = { kind: "set", set: this.#shelf.union(sets, "address"), side: this.#setSide };
    return [rule([...this.#port(port), peers], RETURN)];
  }

  forEndpoints(endpoints: ReadonlySet<PeerSetId>): readonly Rule[] {
    if (endpoints.size === 0) return [];
    return [rule([{ kind: "set", set: this.#shelf.union(endpoints, "endpoint"), side: "dst,dst" }], RETURN)];
  }

  #block({ cidr, except = [] }: IPBlock): readonly Match[] {
    const plain = within(this.#side, prefixText(parsePrefix(cidr, this.#family), this.#family));
    if (except.length === 0) return plain;
    return [...plain, { kind: "set", set: this.#shelf.block({ cidr, except }), side: this.#setSide }];
  }

  #port(port: ResolvedPort | "any"): readonly Match[] {
    if (port === "any") return [];
    const { protocol } = port;
    if ("name" in port) {
      return [
        { kind: "protocol", protocol },
        { kind: "set", set: this.#shelf.namedPort(port.name, protocol), side: "dst,dst" },
      ];
    }
    if ("port" in port) return [{ kind: "ports", protocol, from: port.port, to: port.endPort ?? port.port }];
    return [{ kind: "protocol", protocol }];
  }
}
