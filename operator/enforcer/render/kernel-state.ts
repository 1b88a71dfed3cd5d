import type { Members } from "../../api/member-set.ts";
import type { HookPoint, SetType } from "../layout/ruleset.ts";

/** What a family's kernel tables hold of ours, as the kernel's own tools print it. */
export interface KernelState {
  /** Chains with our prefix; each rule without `-A <chain>`. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** What of the kernel's own chains leads to ours; a chain that is not named has nothing of ours. */
  readonly hooks: ReadonlyMap<HookPoint, Hook>;
  /** Sets with our prefix and of this family. */
  readonly sets: ReadonlyMap<string, KernelSet>;
}

export interface Hook {
  /** Every line that leads to a chain of ours, without `-A <chain>`, in order. */
  readonly lines: readonly string[];
  /** They are the chain's first rules. */
  readonly first: boolean;
}

export interface KernelSet {
  readonly type: SetType | (string & {});
  readonly members: Members;
}

export const EMPTY_KERNEL: KernelState = { chains: new Map(), hooks: new Map(), sets: new Map() };
