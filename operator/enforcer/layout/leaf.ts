import type { LocalPod, NodeState } from "../../api/node-state.ts";
import type { Family } from "./family.ts";
import { addressValue, familyOf } from "./family.ts";

/** An address of a local pod. */
export interface Leaf {
  readonly address: string;
  /** Parsed once: that is the slow part. */
  readonly value: bigint;
  readonly pod: LocalPod;
}

/** All of one family, ascending. */
export function leavesOf(state: NodeState, family: Family): readonly Leaf[] {
  const leaves: Leaf[] = [];
  for (const pod of state.pods.values()) {
    for (const address of pod.addresses) {
      if (familyOf(address) === family) leaves.push({ address, value: addressValue(address, family), pod });
    }
  }
  return leaves.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0));
}
