import type { KernelState } from "./render/kernel-state.ts";
import { writtenFor } from "./render/plan.ts";
import { UNNAMED } from "./render/state-name.ts";

/**
 * What a kernel holds at the start, seen beside a disk copy. `bare`: no rules for pods, as after a reboot. `same`: what
 * the copy says. `other`: something else, which is newer: a copy is written only after its state is in force.
 */
export type Standing = "bare" | "same" | "other";

/** The chains of one family in one backend. `name`: of the copy's state there, `undefined` where it has none. */
export interface Stand {
  readonly chains: KernelState["chains"];
  readonly name: string | undefined;
}

export function standingOf(stands: readonly Stand[]): Standing {
  if (stands.every(({ chains }) => isBare(chains))) return "bare";
  const same = ({ chains, name }: Stand): boolean => {
    return name === undefined ? chains.size === 0 : writtenFor(chains) === name;
  };
  return stands.every(same) ? "same" : "other";
}

/** Isolated pods always have a class; without any, a state that was ours to the end has at least a name. */
function isBare(chains: KernelState["chains"]): boolean {
  const named = writtenFor(chains) ?? UNNAMED;
  return named === UNNAMED && ![...chains.keys()].some((name) => CLASS.test(name));
}

const CLASS = /^TW-C[IE]/;
