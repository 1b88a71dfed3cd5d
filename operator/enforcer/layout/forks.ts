import type { PolicyId } from "../../api/node-state.ts";
import type { Direction } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import { ADDRESS_BITS } from "./family.ts";
import type { Leaf } from "./leaf.ts";
import type { Prefix } from "./prefix.ts";
import { bucketPrefixes, contains, prefixText } from "./prefix.ts";
import type { ChainName, Rule } from "./rule.ts";
import { goto, RETURN, rule, within } from "./rule.ts";
import { contentName } from "./ruleset.ts";
import { DROP_CHAIN, EGRESS_CHAIN, INGRESS_CHAIN } from "./skeleton.ts";

/** One direction's way from a packet to the class of the pod that sends or gets it: entry chain, bucket, leaf. */
export class Forks {
  readonly #direction: Direction;
  readonly #family: Family;
  readonly #closed: readonly Prefix[];
  readonly #side: "source" | "destination";
  readonly #closing: readonly Rule[];
  readonly #names = new Map<string, ChainName>();
  /** The lines of leaves that were there before. */
  readonly #known = new WeakMap<Leaf, { readonly chain: ChainName | undefined; readonly rules: readonly Rule[] }>();

  /** @param closed networks in which every address that is no pod's is closed */
  constructor(direction: Direction, family: Family, closed: readonly Prefix[]) {
    this.#direction = direction;
    this.#family = family;
    this.#closed = closed;
    const side = direction === "Ingress" ? "destination" : "source";
    this.#side = side;
    // The end of a chain: what is no pod's is closed.
    this.#closing = closed.map((net) => rule(within(side, prefixText(net, family)), goto(DROP_CHAIN)));
  }

  /** @param leaves ascending @param classOf the chain of the class of these policies */
  chains(
    leaves: readonly Leaf[],
    classOf: (policies: readonly PolicyId[]) => ChainName,
  ): ReadonlyMap<ChainName, readonly Rule[]> {
    const entries: Rule[] = [];
    const chains = new Map<ChainName, readonly Rule[]>([
      [this.#direction === "Ingress" ? INGRESS_CHAIN : EGRESS_CHAIN, entries],
    ]);
    const buckets = bucketPrefixes(leaves.map(({ value }) => value), this.#family);
    for (const [bucket, inside] of inBuckets(leaves, buckets, this.#family)) {
      const rules = inside.flatMap((leaf) => this.#leaf(leaf, classOf));
      if (rules.length === 0) continue;
      const net = prefixText(bucket, this.#family);
      const chain = this.#nameOf(net);
      entries.push(rule(within(this.#side, net), goto(chain)));
      chains.set(chain, [...rules, ...this.#closing]);
    }
    entries.push(...this.#closing);
    return chains;
  }

  #nameOf(net: string): ChainName {
    const known = this.#names.get(net);
    const name = known ?? (contentName(this.#direction === "Ingress" ? "I-" : "E-", net) as ChainName);
    this.#names.set(net, name);
    return name;
  }

  #leaf(leaf: Leaf, classOf: (policies: readonly PolicyId[]) => ChainName): readonly Rule[] {
    const policies = this.#direction === "Ingress" ? leaf.pod.ingress : leaf.pod.egress;
    const chain = policies.length > 0 ? classOf(policies) : undefined;
    const known = this.#known.get(leaf);
    if (known !== undefined && known.chain === chain) return known.rules;
    const rules = this.#leafRules(leaf, chain);
    this.#known.set(leaf, { chain, rules });
    return rules;
  }

  #leafRules({ address, value }: Leaf, chain: ChainName | undefined): readonly Rule[] {
    const net = `${address}/${ADDRESS_BITS[this.#family]}`;
    if (chain !== undefined) {
      return [rule([{ kind: this.#side, net }], goto(chain))];
    }
    // An open pod needs a line only where unknown addresses are closed.
    const known = this.#closed.some((closed) => contains(closed, value, this.#family));
    return known ? [rule([{ kind: this.#side, net }], RETURN)] : [];
  }
}

/** Both are ascending and the buckets hold all the leaves: one walk does it. */
function inBuckets(
  leaves: readonly Leaf[],
  buckets: readonly Prefix[],
  family: Family,
): readonly (readonly [Prefix, readonly Leaf[]])[] {
  let next = 0;
  return buckets.map((bucket) => {
    const first = next;
    while (next < leaves.length && contains(bucket, leaves[next]?.value ?? 0n, family)) next += 1;
    return [bucket, leaves.slice(first, next)];
  });
}
