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

  /** @param closed networks in which every address that is no pod's is closed */
  constructor(direction: Direction, family: Family, closed: readonly Prefix[]) {
    this.#direction = direction;
    this.#family = family;
    this.#closed = closed;
    this.#side = direction === "Ingress" ? "destination" : "source";
  }

  /** @param leaves ascending @param classOf the chain of the class of these policies */
  chains(
    leaves: readonly Leaf[],
    classOf: (policies: readonly PolicyId[]) => ChainName,
  ): ReadonlyMap<ChainName, readonly Rule[]> {
    const label = this.#direction === "Ingress" ? "I-" : "E-";
    const entries: Rule[] = [];
    const chains = new Map<ChainName, readonly Rule[]>([
      [this.#direction === "Ingress" ? INGRESS_CHAIN : EGRESS_CHAIN, entries],
    ]);
    for (const bucket of bucketPrefixes(leaves.map(({ value }) => value), this.#family)) {
      const inside = leaves.filter(({ value }) => contains(bucket, value, this.#family));
      const rules = inside.flatMap((leaf) => this.#leaf(leaf, classOf));
      if (rules.length === 0) continue;
      const net = prefixText(bucket, this.#family);
      const chain = contentName(label, net) as ChainName;
      entries.push(rule(within(this.#side, net), goto(chain)));
      chains.set(chain, [...rules, ...this.#closing()]);
    }
    entries.push(...this.#closing());
    return chains;
  }

  #leaf({ address, value, pod }: Leaf, classOf: (policies: readonly PolicyId[]) => ChainName): readonly Rule[] {
    const policies = this.#direction === "Ingress" ? pod.ingress : pod.egress;
    const net = `${address}/${ADDRESS_BITS[this.#family]}`;
    if (policies.length > 0) {
      return [
        // A pod may always talk to itself, through its own Service too.
        rule([{ kind: "source", net }, { kind: "destination", net }], RETURN),
        rule([{ kind: this.#side, net }], goto(classOf(policies))),
      ];
    }
    // An open pod needs a line only where unknown addresses are closed.
    const known = this.#closed.some((closed) => contains(closed, value, this.#family));
    return known ? [rule([{ kind: this.#side, net }], RETURN)] : [];
  }

  /** The end of a chain: what is no pod's is closed. */
  #closing(): readonly Rule[] {
    return this.#closed.map((net) => rule(within(this.#side, prefixText(net, this.#family)), goto(DROP_CHAIN)));
  }
}
