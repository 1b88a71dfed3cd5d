import type { Family } from "./family.ts";
import type { Leaf } from "./leaf.ts";
import type { Prefix } from "./prefix.ts";
import { bucketPrefixes, contains, prefixText } from "./prefix.ts";
import type { ChainName, Rule } from "./rule.ts";
import { goto, rule, within } from "./rule.ts";
import { contentName } from "./ruleset.ts";

/** What tells the chains of one fork from those of another. */
export interface BucketPlan {
  readonly family: Family;
  readonly side: "source" | "destination";
  /** The chain that forks. */
  readonly entry: ChainName;
  /** Of the names of the chains that it forks to. */
  readonly label: string;
  /** Ends every chain. */
  readonly closing: readonly Rule[];
}

/** Two steps from a packet to the lines of the pod that sends or gets it, instead of one for each pod. */
export class Buckets {
  readonly #plan: BucketPlan;
  readonly #entries = new Map<string, { readonly chain: ChainName; readonly fork: Rule }>();

  constructor(plan: BucketPlan) {
    this.#plan = plan;
  }

  /** @param leaves ascending @param linesOf the lines of one; a bucket without any gets no chain */
  chains(leaves: readonly Leaf[], linesOf: (leaf: Leaf) => readonly Rule[]): ReadonlyMap<ChainName, readonly Rule[]> {
    const { family, entry, closing } = this.#plan;
    const entries: Rule[] = [];
    const chains = new Map<ChainName, readonly Rule[]>([[entry, entries]]);
    const buckets = bucketPrefixes(leaves.map(({ value }) => value), family);
    for (const [bucket, inside] of inBuckets(leaves, buckets, family)) {
      const rules = inside.flatMap(linesOf);
      if (rules.length === 0) continue;
      const net = prefixText(bucket, family);
      const { chain, fork } = this.#bucketOf(net);
      entries.push(fork);
      chains.set(chain, [...rules, ...closing]);
    }
    entries.push(...closing);
    return chains;
  }

  #bucketOf(net: string): { readonly chain: ChainName; readonly fork: Rule } {
    const known = this.#entries.get(net);
    if (known !== undefined) return known;
    const chain = contentName(this.#plan.label, net) as ChainName;
    const bucket = { chain, fork: rule(within(this.#plan.side, net), goto(chain)) };
    this.#entries.set(net, bucket);
    return bucket;
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
