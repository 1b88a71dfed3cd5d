import type { Family } from "./family.ts";
import type { Leaf } from "./leaf.ts";
import type { Prefix } from "./prefix.ts";
import { bucketBranches, contains, prefixText } from "./prefix.ts";
import type { ChainName, Rule } from "./rule.ts";
import { goto, rule, within } from "./rule.ts";
import { contentName } from "./ruleset.ts";
import { sameElements } from "./same-elements.ts";

/** What tells the chains of one fork from those of another. */
export interface BucketPlan {
  readonly side: "source" | "destination";
  /** The chain that forks. */
  readonly entry: ChainName;
  /** Of the names of the chains that it forks to. */
  readonly label: string;
  /** Ends every chain. */
  readonly closing: readonly Rule[];
}

/** Addresses of the node's pods that are near each other. */
export interface LeafGroup {
  readonly net: string;
  /** Ascending. */
  readonly leaves: readonly Leaf[];
  /** Those within it that come next; none where it is a bucket. */
  readonly groups: readonly LeafGroup[];
}

/** @param leaves ascending */
export function groupLeaves(leaves: readonly Leaf[], family: Family): readonly LeafGroup[] {
  const branches = bucketBranches(leaves.map(({ value }) => value), family);
  const bucketsOf = new Map(branches.map(({ prefix, buckets }) => [prefix, buckets]));
  return grouped(leaves, [...bucketsOf.keys()], family, (prefix, inside) => {
    return grouped(inside, bucketsOf.get(prefix) ?? [], family, () => []);
  });
}

/** Both are ascending and the prefixes hold all the leaves: one walk does it. */
function grouped(
  leaves: readonly Leaf[],
  prefixes: readonly Prefix[],
  family: Family,
  groupsOf: (prefix: Prefix, inside: readonly Leaf[]) => readonly LeafGroup[],
): readonly LeafGroup[] {
  let next = 0;
  return prefixes.map((prefix) => {
    const first = next;
    while (next < leaves.length && contains(prefix, leaves[next]?.value ?? 0n, family)) next += 1;
    const inside = leaves.slice(first, next);
    return { net: prefixText(prefix, family), leaves: inside, groups: groupsOf(prefix, inside) };
  });
}

/** Two or three steps from a packet to the lines of the pod that sends or gets it, instead of one for each pod. */
export class Buckets {
  readonly #plan: BucketPlan;
  /** Of the last ruleset: addresses come and go for ever. */
  #forks: ReadonlyMap<string, ChainFork> = new Map();
  #buckets: ReadonlyMap<string, Bucket> = new Map();

  constructor(plan: BucketPlan) {
    this.#plan = plan;
  }

  /**
   * @param linesOf the lines of one leaf; a bucket without any gets no chain
   * @param unchanged a leaf that was there the last time has the same lines as then
   */
  chains(
    groups: readonly LeafGroup[],
    linesOf: (leaf: Leaf) => readonly Rule[],
    unchanged = false,
  ): ReadonlyMap<ChainName, readonly Rule[]> {
    const { entry, closing } = this.#plan;
    const chains = new Map<ChainName, readonly Rule[]>();
    const forks = new Map<string, ChainFork>();
    // The fork to a chain with these rules and the closing ones.
    const forkTo = (label: string, net: string, closed: readonly Rule[]): Rule => {
      const key = `${label}${net}`;
      const known = this.#forks.get(key) ?? this.#fork(label, net);
      forks.set(key, known);
      chains.set(known.chain, closed);
      return known.fork;
    };
    const buckets = new Map<string, Bucket>();
    const bucket = ({ net, leaves }: LeafGroup): readonly Rule[] => {
      const last = unchanged ? this.#buckets.get(net) : undefined;
      const rules = last !== undefined && sameElements(last.leaves, leaves) ? last.rules : closedWith(leaves.flatMap(linesOf), closing);
      buckets.set(net, { leaves, rules });
      return rules === undefined ? [] : [forkTo("", net, rules)];
    };
    const entries = groups.flatMap((group): readonly Rule[] => {
      if (group.groups.length === 0) return bucket(group);
      const rules = closedWith(group.groups.flatMap(bucket), closing);
      return rules === undefined ? [] : [forkTo("B-", group.net, rules)];
    });
    this.#forks = forks;
    this.#buckets = buckets;
    return chains.set(entry, [...entries, ...closing]);
  }

  #fork(label: string, net: string): ChainFork {
    const chain = contentName(`${this.#plan.label}${label}`, net) as ChainName;
    return { chain, fork: rule(within(this.#plan.side, net), goto(chain)) };
  }
}

/** `undefined` if there are no rules. */
function closedWith(rules: readonly Rule[], closing: readonly Rule[]): readonly Rule[] | undefined {
  return rules.length === 0 ? undefined : [...rules, ...closing];
}

interface Bucket {
  readonly leaves: readonly Leaf[];
  /** With the closing ones; `undefined` = it has no chain. */
  readonly rules: readonly Rule[] | undefined;
}

interface ChainFork {
  readonly chain: ChainName;
  readonly fork: Rule;
}
