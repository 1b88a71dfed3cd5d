import type { SetType } from "../layout/ruleset.ts";

/** What a family's kernel tables hold of ours, as the kernel's own tools print it. */
export interface KernelState {
  /** Chains with our prefix; each rule without `-A <chain>`. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly hook: Hook;
  /** Sets with our prefix and of this family. */
  readonly sets: ReadonlyMap<string, KernelSet>;
}

/** The jumps from FORWARD to our first chain. */
export interface Hook {
  readonly jumps: number;
  /** One of them is FORWARD's first rule. */
  readonly first: boolean;
}

export interface KernelSet {
  readonly type: SetType | (string & {});
  readonly members: ReadonlySet<string>;
}

export const EMPTY_KERNEL: KernelState = { chains: new Map(), hook: { jumps: 0, first: false }, sets: new Map() };
