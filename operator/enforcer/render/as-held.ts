import type { Ruleset } from "../layout/ruleset.ts";
import { chainsOf } from "./chain-lines.ts";
import type { KernelState } from "./kernel-state.ts";
import { inKernelOrder } from "./leaf-order.ts";
import type { Marks } from "./marks.ts";
import { withVersions } from "./set-versions.ts";

/** The ruleset in the order and with the names that the kernel has, or is to have. */
export function asHeld(current: KernelState, meant: Ruleset, marks: Marks): Ruleset {
  return withVersions(current, inKernelOrder(current, meant, marks), (each) => chainsOf(each, marks));
}
