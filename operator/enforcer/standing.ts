import { EGRESS_CHAIN, FORWARD_CHAIN, INGRESS_CHAIN } from "./layout/skeleton.ts";
import type { KernelState } from "./render/kernel-state.ts";
import { writtenFor } from "./render/plan.ts";
import { UNNAMED } from "./render/state-name.ts";

/**
 * What a kernel holds at the start, seen beside a disk copy. `bare`: no rules for pods, as after a reboot, or none any
 * more, as after somebody's `iptables -F`. `same`: what the copy says, as far as anything is left of it. `other`: something
 * else, which is newer: a copy is written only after its state is in force.
 */
export type Standing = "bare" | "same" | "other";

/** The chains of one family in one backend. `name`: of the copy's state there, `undefined` where it has none. */
export interface Stand {
  readonly chains: KernelState["chains"];
  readonly name: string | undefined;
}

export function standingOf(stands: readonly Stand[]): Standing {
  if (stands.every(({ chains }) => isBare(chains))) return "bare";
  // One family lets everything pass: a copy that may be a little older than what the other one holds is better than that.
  if (stands.some(({ chains, name }) => name !== undefined && hasClass(chains) && isBare(chains))) return "bare";
  const same = ({ chains, name }: Stand): boolean => isBare(chains) || (name !== undefined && writtenFor(chains) === name);
  return stands.every(same) ? "same" : "other";
}

/**
 * Isolated pods always have a class; without any, a state that was ours to the end has at least a name. A flush leaves
 * the names of chains, and what it has emptied judges nobody: neither classes nor the way to them.
 */
function isBare(chains: KernelState["chains"]): boolean {
  const classes = chains.entries().some(([name, lines]) => CLASS.test(name) && lines.length > 0);
  // Nor is it a flush where the way to them has just been taken away by us, and the state is yet to be named.
  if (classes) return !leadsOn(chains) && writtenFor(chains) !== UNNAMED;
  return (writtenFor(chains) ?? UNNAMED) === UNNAMED;
}

function hasClass(chains: KernelState["chains"]): boolean {
  return chains.keys().some((name) => CLASS.test(name));
}

/** Whether packets get from the first chain to one that still sends them on. */
function leadsOn(chains: KernelState["chains"]): boolean {
  const first = chains.get(FORWARD_CHAIN) ?? [];
  return [EGRESS_CHAIN, INGRESS_CHAIN].some((name) => {
    return first.some((line) => ` ${line}`.endsWith(` -j ${name}`)) && (chains.get(name)?.length ?? 0) > 0;
  });
}

const CLASS = /^TW-C[IE]/;
