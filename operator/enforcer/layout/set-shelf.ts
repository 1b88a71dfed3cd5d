import type { Members } from "../../api/member-set.ts";
import { changesBetween } from "../../api/member-set.ts";
import type { LocalPod, NodeState, PeerSetId, PeerSetKind } from "../../api/node-state.ts";
import type { IPBlock, Protocol } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import { ADDRESS_BITS, familyOf } from "./family.ts";
import type { Prefix } from "./prefix.ts";
import { contains, parsePrefix, prefixText } from "./prefix.ts";
import type { SetName } from "./rule.ts";
import type { AddressSet, SetType } from "./ruleset.ts";
import { contentName } from "./ruleset.ts";
import { Union } from "./union.ts";

/**
 * Knows what each set means and fills it for a state. A set is named by what it means; its members come and go. As long
 * as what a set is made of is the same object, so is its list of members: whoever compares has nothing to do.
 */
export class SetShelf {
  readonly #family: Family;
  readonly #recipes = new Map<SetName, Recipe>();

  constructor(family: Family) {
    this.#family = family;
  }

  /** The union of peer sets of one kind. */
  union(ids: Iterable<PeerSetId>, kind: PeerSetKind): SetName {
    const sorted = [...ids].toSorted();
    const [label, type] = kind === "address" ? (["u", "hash:ip"] as const) : (["p", "hash:ip,port"] as const);
    return this.#shelve(label, type, sorted, () => {
      const union = new Union(sorted, this.#family);
      return (state) => union.of(state);
    });
  }

  /** Where each local pod has the port that it calls `name`: two pods may give one name two numbers. */
  namedPort(name: string, protocol: Protocol): SetName {
    return this.#shelve("n", "hash:ip,port", [name, protocol], () => {
      let members = NO_MEMBERS;
      let looked: NodeState["pods"] | undefined;
      return ({ pods }) => {
        if (pods === looked) return members;
        looked = pods;
        const now = new Set(pods.values().flatMap((pod) => this.#portsOf(pod, name, protocol)));
        const { added, removed } = changesBetween(members, now);
        if (added.length + removed.length > 0) members = now;
        return members;
      };
    });
  }

  /**
   * One block with its exceptions. A set of its own: a sub-chain cannot say "allowed" to its caller's caller, the
   * exceptions of merged blocks would deny each other, and cutting the block into plain networks takes up to 30 lines
   * an exception. The line stays cheap: the block's plain network is compared before the set is asked.
   */
  block({ cidr, except = [] }: IPBlock): SetName {
    const family = this.#family;
    // An exception of the other family is none of this block.
    const holes = except.filter((net) => familyOf(net) === family).map((net) => parsePrefix(net, family));
    // The narrowest network decides in such a set: what lies wholly in an exception must not be in it as a match.
    const solid = halves(parsePrefix(cidr, family), family).filter((net) => {
      return !holes.some((hole) => hole.length <= net.length && contains(hole, net.base, family));
    });
    const matches = solid.map((net) => netText(net, family));
    const list = [...new Set([...matches, ...holes.map((net) => `${netText(net, family)} nomatch`)])].toSorted();
    const members = new Set(list);
    return this.#shelve("b", "hash:net", list, () => () => members);
  }

  /** The sets of these names, filled for `state`; what was shelved and is not named is forgotten. */
  filled(names: ReadonlySet<SetName>, state: NodeState): ReadonlyMap<SetName, AddressSet> {
    for (const name of this.#recipes.keys()) if (!names.has(name)) this.#recipes.delete(name);
    return new Map(this.#recipes.entries().map(([name, recipe]) => [name, recipe.filledFor(state)]));
  }

  #portsOf(pod: LocalPod, name: string, protocol: Protocol): readonly string[] {
    const ports = pod.ports.filter((port) => port.name === name && port.protocol === protocol);
    const addresses = pod.addresses.filter((address) => familyOf(address) === this.#family);
    return addresses.flatMap((address) => ports.map(({ port }) => `${address},${protocol.toLowerCase()}:${port}`));
  }

  #shelve(label: string, type: SetType, meaning: unknown, filling: () => Filling): SetName {
    const name = contentName(label, [this.#family, type, meaning]) as SetName;
    if (!this.#recipes.has(name)) this.#recipes.set(name, new Recipe(name, type, this.#family, filling()));
    return name;
  }
}

/** What is in a set for one state after the other: the same object as before for the same members. */
type Filling = (state: NodeState) => Members;

class Recipe {
  readonly #filling: Filling;
  #filled: AddressSet;

  constructor(name: SetName, type: SetType, family: Family, filling: Filling) {
    this.#filling = filling;
    this.#filled = { name, type, family, members: NO_MEMBERS };
  }

  filledFor(state: NodeState): AddressSet {
    const members = this.#filling(state);
    if (members !== this.#filled.members) this.#filled = { ...this.#filled, members };
    return this.#filled;
  }
}

const NO_MEMBERS: Members = new Set();

/** hash:net refuses /0. */
function halves(prefix: Prefix, family: Family): readonly Prefix[] {
  if (prefix.length > 0) return [prefix];
  return [
    { base: 0n, length: 1 },
    { base: 1n << BigInt(ADDRESS_BITS[family] - 1), length: 1 },
  ];
}

/** As ipset prints a network: a single address without its width. */
function netText(prefix: Prefix, family: Family): string {
  const text = prefixText(prefix, family);
  return prefix.length === ADDRESS_BITS[family] ? text.slice(0, text.indexOf("/")) : text;
}
