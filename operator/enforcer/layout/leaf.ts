import type { LocalPod, NodeState } from "../../api/node-state.ts";
import type { Family } from "./family.ts";
import { ADDRESS_BITS, addressValue, familyOf } from "./family.ts";
import type { Rule } from "./rule.ts";
import { RETURN, rule } from "./rule.ts";

/** An address of a local pod. The same object as long as the pod is. */
export interface Leaf {
  readonly address: string;
  readonly value: bigint;
  readonly pod: LocalPod;
  /** Lets the pod talk to itself, for a kernel that cannot compare the two addresses of a packet. */
  readonly self: Rule;
}

/** The leaves of one state after the other: parsing addresses is slow, and most pods stay as they are. */
export class LeafCache {
  readonly #family: Family;
  readonly #known = new WeakMap<LocalPod, readonly Leaf[]>();

  constructor(family: Family) {
    this.#family = family;
  }

  /** Ascending. */
  of({ pods }: NodeState): readonly Leaf[] {
    const leaves = pods.values().toArray().flatMap((pod) => this.#leavesOf(pod));
    return leaves.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0));
  }

  #leavesOf(pod: LocalPod): readonly Leaf[] {
    const known = this.#known.get(pod);
    if (known !== undefined) return known;
    const addresses = pod.addresses.filter((address) => familyOf(address) === this.#family);
    const leaves = addresses.map((address) => {
      const net = `${address}/${ADDRESS_BITS[this.#family]}`;
      const self = rule([{ kind: "source", net }, { kind: "destination", net }], RETURN);
      return { address, value: addressValue(address, this.#family), pod, self };
    });
    this.#known.set(pod, leaves);
    return leaves;
  }
}
