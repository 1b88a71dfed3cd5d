import type { LocalPod, NodeState, PeerSetId, PeerSetKind } from "../../api/node-state.ts";
import type { IPBlock, Protocol } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import { ADDRESS_BITS, familyOf } from "./family.ts";
import type { Prefix } from "./prefix.ts";
import { contains, parsePrefix, prefixText } from "./prefix.ts";
import type { SetName } from "./rule.ts";
import type { AddressSet, SetType } from "./ruleset.ts";
import { contentName } from "./ruleset.ts";

/** Makes the sets that a ruleset asks for, each once. A set is named by what it means; its members come and go. */
export class SetShelf {
  readonly #state: NodeState;
  readonly #family: Family;
  readonly #sets = new Map<SetName, AddressSet>();

  constructor(state: NodeState, family: Family) {
    this.#state = state;
    this.#family = family;
  }

  get sets(): ReadonlyMap<SetName, AddressSet> {
    return this.#sets;
  }

  /** The union of peer sets of one kind. */
  union(ids: Iterable<PeerSetId>, kind: PeerSetKind): SetName {
    const sorted = [...ids].toSorted();
    const type = kind === "address" ? "hash:ip" : "hash:ip,port";
    return this.#shelve(kind === "address" ? "u" : "p", type, sorted, () => {
      return unionOf(sorted.map((id) => this.#state.peers.get(id)?.members ?? new Set<string>()), this.#family);
    });
  }

  /** Where each local pod has the port that it calls `name`: two pods may give one name two numbers. */
  namedPort(name: string, protocol: Protocol): SetName {
    return this.#shelve("n", "hash:ip,port", [name, protocol], () => {
      return new Set([...this.#state.pods.values()].flatMap((pod) => this.#portsOf(pod, name, protocol)));
    });
  }

  /**
   * One block with its exceptions. A set of its own: a sub-chain cannot say "allowed" to its caller's caller, the
   * exceptions of merged blocks would deny each other, and cutting the block into plain networks takes up to 30 lines
   * an exception. The line stays cheap: the block's plain network is compared before the set is asked.
   */
  block({ cidr, except = [] }: IPBlock): SetName {
    const family = this.#family;
    const holes = except.map((net) => parsePrefix(net, family));
    // The narrowest network decides in such a set: what lies wholly in an exception must not be in it as a match.
    const solid = halves(parsePrefix(cidr, family), family).filter((net) => {
      return !holes.some((hole) => hole.length <= net.length && contains(hole, net.base, family));
    });
    const matches = solid.map((net) => netText(net, family));
    const members = [...matches, ...holes.map((net) => `${netText(net, family)} nomatch`)].toSorted();
    return this.#shelve("b", "hash:net", members, () => new Set(members));
  }

  #portsOf(pod: LocalPod, name: string, protocol: Protocol): readonly string[] {
    const ports = pod.ports.filter((port) => port.name === name && port.protocol === protocol);
    const addresses = pod.addresses.filter((address) => familyOf(address) === this.#family);
    return addresses.flatMap((address) => ports.map(({ port }) => `${address},${protocol.toLowerCase()}:${port}`));
  }

  #shelve(label: string, type: SetType, meaning: unknown, members: () => ReadonlySet<string>): SetName {
    const name = contentName(label, [this.#family, type, meaning]) as SetName;
    if (!this.#sets.has(name)) this.#sets.set(name, { name, type, family: this.#family, members: members() });
    return name;
  }
}

/** One set of one family is passed on as it is: most unions are of one, and peer sets can be large. */
function unionOf(sources: readonly ReadonlySet<string>[], family: Family): ReadonlySet<string> {
  const [only] = sources;
  if (only !== undefined && sources.length === 1 && only.values().every((member) => familyOf(member) === family)) {
    return only;
  }
  return new Set(sources.flatMap((source) => [...source].filter((member) => familyOf(member) === family)));
}

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
