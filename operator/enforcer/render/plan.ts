import type { HookPoint, Ruleset } from "../layout/ruleset.ts";
import { EGRESS_CHAIN, FORWARD_CHAIN, INGRESS_CHAIN, isForkChain, STATE_CHAIN } from "../layout/skeleton.ts";
import type { KernelSet, KernelState } from "./kernel-state.ts";
import type { Marks } from "./marks.ts";
import { fieldValue } from "./marks.ts";
import { OTHER_FAMILY } from "./set-kind.ts";
import { addsText, createText, drainText } from "./set-text.ts";
import { chainsOf, linesOf } from "./chain-lines.ts";
import { addsOnly, chainsText, differ, hooksInForce, sweepText } from "./chain-text.ts";

/** Texts for the kernel's tools in the order in which they must be in force; `""` = nothing to do. */
export interface Plan {
  /** 1: `ipset restore`: new sets with their members, new members of live sets. */
  readonly fill: string;
  /** 2: one `iptables-restore --noflush`: chains and the jump. */
  readonly rules: string;
  /** 3: `ipset restore`: members that leave. */
  readonly drain: string;
  /** 4: `iptables-restore`: the new generation, when it does not ride in 2. From here on the ruleset is in force. */
  readonly generation: string;
  /** 5: chains, then sets that nothing refers to any more. */
  readonly sweepChains: string;
  readonly sweepSets: string;
  /** What the kernel holds after 4, after the chains of 5, and in the end. */
  readonly applied: KernelState;
  readonly unchained: KernelState;
  readonly swept: KernelState;
}

/**
 * How to get from `current` to `ruleset`. Connections that were judged under `from` are judged again if `to` is another
 * generation. It comes last: were it set before members leave, a flow of theirs would be marked anew and live for ever.
 * @param apart the generation in a transaction of its own also where it might ride in the other one, as long as that
 * only adds: iptables-nft asks for all rules of every chain that a transaction names if it has to find one of them, but
 * waits for the kernel to let go of rules that a transaction before has removed
 */
export function plan(
  current: KernelState,
  ruleset: Ruleset,
  from: Marks,
  to: Marks,
  sets: SetSteps = setSteps(current, ruleset),
  apart = false,
): Plan {
  const after = chainsOf(ruleset, to);
  const unmoved = chainsOf(ruleset, from);
  const together = sets.drain === "" && !(apart && addsOnly(current.chains, unmoved));
  const before = together ? after : unmoved;
  const dead = [...current.chains.keys()].filter((name) => !after.has(name)).toSorted();
  const hooksAfter = hooksOf(ruleset, to);
  const hooksBefore = together ? hooksAfter : hooksOf(ruleset, from);
  const hooks = hooksInForce(hooksAfter);
  return {
    fill: sets.fill,
    rules: chainsText(current.chains, before, current.hooks, hooksBefore),
    drain: sets.drain,
    generation: chainsText(before, after, hooksInForce(hooksBefore), hooksAfter),
    sweepChains: sweepText(dead),
    sweepSets: sets.sweep,
    applied: { chains: merged(current.chains, after), hooks, sets: sets.applied },
    unchained: { chains: after, hooks, sets: sets.applied },
    swept: { chains: after, hooks, sets: sets.swept },
  };
}

/** What of a plan concerns the sets. Large ones make it the slow part, and it depends on no mark. */
export interface SetSteps {
  readonly fill: string;
  readonly drain: string;
  readonly sweep: string;
  /** What the kernel holds after the first two, and in the end. */
  readonly applied: KernelState["sets"];
  readonly swept: KernelState["sets"];
}

export function setSteps({ sets: current }: KernelState, { sets }: Ruleset): SetSteps {
  const wanted = [...sets.values()];
  const swept = new Map(wanted.map(({ name, type, members }) => [name as string, { type, members }]));
  const unwanted = current.entries().filter(([name, { type }]) => !swept.has(name) && type !== OTHER_FAMILY);
  const dead = [...unwanted].map(([name]) => name).toSorted();
  return {
    fill: [
      ...wanted.map((set) => (current.has(set.name) ? "" : createText(set))),
      ...wanted.map((set) => addsText(set, current.get(set.name))),
    ].join(""),
    drain: wanted.map((set) => drainText(set, current.get(set.name))).join(""),
    sweep: dead.map((name) => `destroy ${name}\n`).join(""),
    applied: merged<KernelSet>(current, swept),
    swept,
  };
}

/**
 * Whether connections that were judged before must be judged again because a fork or leaf changed. Classes are named by
 * content, so one that lost a line shows as a leaf that moved.
 */
export function narrowsChains(current: KernelState, ruleset: Ruleset, marks: Marks): boolean {
  // That the node's addresses spread over more networks denies nobody.
  return [...chainsOf(ruleset, marks)].some(([name, lines]) => !isForkChain(name) && differ(current.chains.get(name), lines));
}

/** Nothing of the plan's steps 1 to 4 is left to do. */
export function inForce({ fill, rules, drain, generation }: Plan): boolean {
  return fill === "" && rules === "" && drain === "" && generation === "";
}

/**
 * What must be there before the first state arrives: connection tracking should see connections from their start.
 * Only chains that are missing: those that stand belong to an earlier run and are in force. Of one that somebody has
 * emptied nothing is, so it is as good as missing; but what leads to the pods may be empty because none is isolated, and
 * must then not be closed before a state says which of them are open.
 */
export function skeletonText(current: KernelState, empty: Ruleset, marks: Marks): string {
  const wanted = chainsOf(empty, marks);
  const isEmpty = (name: string) => current.chains.get(name)?.length === 0;
  // No ruleset leaves it so: somebody has emptied all.
  const flushed = isEmpty(STATE_CHAIN);
  const leadsToPods = (name: string) => isForkChain(name) || name === EGRESS_CHAIN || name === INGRESS_CHAIN;
  const missing = new Map([...wanted].filter(([name, { length }]) => {
    return !current.chains.has(name) || (length > 0 && isEmpty(name) && (flushed || !leadsToPods(name)));
  }));
  const hooks = new Map([...current.hooks].filter(([point]) => empty.hooks.has(point)));
  const standing = hooks.entries().filter(([, { first }]) => first).map(([point, { lines }]) => [point, lines] as const);
  return chainsText(new Map(), missing, hooks, new Map([...hooksOf(empty, marks), ...standing]));
}

/**
 * The marks that the kernel's rules carry, and the name of the state that they were written for; `undefined` if nothing
 * of that is there.
 */
export function kernelMarks({ chains, hooks }: Pick<KernelState, "chains" | "hooks">): Marks | undefined {
  const lines = chains.get(FORWARD_CHAIN);
  if (lines === undefined) return undefined;
  const state = writtenFor(chains);
  // The hook first: a chain that judges nobody marks nothing. Either may have been torn out.
  const found = [...(hooks.get("FORWARD")?.lines ?? []), ...lines].map((line) => line.match(MARK)).find(Boolean);
  const [, mark, mask] = found ?? [];
  if (mark === undefined || mask === undefined) return { mask: 0, generation: 0, state };
  return { mask: Number(mask), generation: fieldValue(Number(mark), Number(mask)), state };
}

/** The state that the kernel's rules name, if any. */
export function writtenFor(chains: KernelState["chains"]): string | undefined {
  return chains.get(STATE_CHAIN)?.[0]?.match(/ --comment (\S+) /)?.[1];
}

const MARK = / --(?:set-x)?mark (0x[0-9a-f]+)\/(0x[0-9a-f]+)(?: |$)/;

/** The rules that lead to ours, by the kernel's chain. */
function hooksOf({ hooks }: Ruleset, marks: Marks): ReadonlyMap<HookPoint, readonly string[]> {
  return new Map([...hooks].map(([point, rules]) => [point, linesOf(rules, marks)]));
}

/** What both have; what is in both is the second one's. */
function merged<Value>(one: ReadonlyMap<string, Value>, other: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> {
  const both = new Map(one);
  for (const [key, value] of other) both.set(key, value);
  return both;
}
