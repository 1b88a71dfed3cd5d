import type { LocalPod } from "../../api/node-state.ts";
import type { Direction } from "../../api/network-policy.ts";
import type { LeafGroup } from "./buckets.ts";
import { Buckets } from "./buckets.ts";
import type { ClassRound } from "./class-cache.ts";
import type { Family } from "./family.ts";
import { ADDRESS_BITS } from "./family.ts";
import type { Leaf } from "./leaf.ts";
import type { Prefix } from "./prefix.ts";
import { contains, prefixText } from "./prefix.ts";
import type { ChainName, Rule } from "./rule.ts";
import { goto, RETURN, rule, within } from "./rule.ts";
import { DROP_CHAIN, EGRESS_CHAIN, INGRESS_CHAIN } from "./skeleton.ts";

/** One direction's way from a packet to the class of the pod that sends or gets it: entry chain, bucket, leaf. */
export class Forks {
  readonly #direction: Direction;
  readonly #family: Family;
  readonly #closed: readonly Prefix[];
  readonly #side: "source" | "destination";
  readonly #buckets: Buckets;
  /** The lines of leaves that were there before. */
  readonly #known = new WeakMap<Leaf, { readonly chain: ChainName | undefined; readonly rules: readonly Rule[] }>();

  /** @param closed networks in which every address that is no pod's is closed */
  constructor(direction: Direction, family: Family, closed: readonly Prefix[]) {
    const ingress = direction === "Ingress";
    const side = ingress ? "destination" : "source";
    this.#direction = direction;
    this.#family = family;
    this.#closed = closed;
    this.#side = side;
    this.#buckets = new Buckets({
      side,
      entry: ingress ? INGRESS_CHAIN : EGRESS_CHAIN,
      label: ingress ? "I-" : "E-",
      // What is no pod's is closed.
      closing: closed.map((net) => rule(within(side, prefixText(net, family)), goto(DROP_CHAIN))),
    });
  }

  /** @param leaves all of them @param groups the same, grouped */
  chains(leaves: readonly Leaf[], groups: readonly LeafGroup[], classes: ClassRound): ReadonlyMap<ChainName, readonly Rule[]> {
    // All classes that are in use have to be asked for, also for leaves whose lines need not be.
    for (const { pod } of leaves) this.#classOf(pod, classes);
    return this.#buckets.chains(groups, (leaf) => this.#leaf(leaf, this.#classOf(leaf.pod, classes)), classes.unchanged);
  }

  #classOf(pod: LocalPod, classes: ClassRound): ChainName | undefined {
    const policies = this.#direction === "Ingress" ? pod.ingress : pod.egress;
    return policies.length > 0 ? classes.of(policies, DROP_CHAIN) : undefined;
  }

  #leaf(leaf: Leaf, chain: ChainName | undefined): readonly Rule[] {
    const known = this.#known.get(leaf);
    if (known !== undefined && known.chain === chain) return known.rules;
    const rules = this.#leafRules(leaf, chain);
    this.#known.set(leaf, { chain, rules });
    return rules;
  }

  #leafRules({ address, value }: Leaf, chain: ChainName | undefined): readonly Rule[] {
    const net = `${address}/${ADDRESS_BITS[this.#family]}`;
    if (chain !== undefined) return [rule([{ kind: this.#side, net }], goto(chain))];
    // An open pod needs a line only where unknown addresses are closed.
    const known = this.#closed.some((closed) => contains(closed, value, this.#family));
    return known ? [rule([{ kind: this.#side, net }], RETURN)] : [];
  }
}
