import type { HookPoint } from "../layout/ruleset.ts";
import { HOOK_POINTS } from "../layout/ruleset.ts";
import { sameElements } from "../layout/same-elements.ts";
import type { Chains } from "./chain-lines.ts";
import type { Hook, KernelState } from "./kernel-state.ts";

type Hooks = KernelState["hooks"];
/** First lines of the kernel's own chains. */
type HookLines = ReadonlyMap<HookPoint, readonly string[]>;

/**
 * `iptables-restore --noflush` input, one transaction, that makes the chains of `current` those of `wanted` and puts
 * `wantedHooks` first into the kernel's chains; `""` if they are so. A chain that only gains a few lines gets them in their
 * places; any other that differs is written whole. Chains that are not in `wanted` stay.
 */
export function chainsText(
  current: Chains,
  wanted: Chains,
  hooks: Hooks,
  wantedHooks: HookLines,
): string {
  const changed = [...wanted].filter(([name, lines]) => differ(current.get(name), lines)).toSorted(byName);
  const edits = changed.map(([name, lines]) => ({ name, lines, inserts: insertions(name, current.get(name), lines) }));
  const whole = edits.filter(({ inserts }) => inserts === undefined);
  return transaction([
    ...whole.map(({ name }) => `:${name} - [0:0]`),
    ...whole.flatMap(({ name, lines }) => lines.map((line) => `-A ${name} ${line}`)),
    ...edits.flatMap(({ inserts }) => inserts ?? []),
    ...HOOK_POINTS.flatMap((point) => rehook(point, hooks.get(point), wantedHooks.get(point))),
  ]);
}

/** Whether `chainsText` empties no chain: it only makes new ones and inserts lines. */
export function addsOnly(current: Chains, wanted: Chains): boolean {
  return wanted.entries().every(([name, lines]) => {
    const before = current.get(name);
    return before === undefined || !differ(before, lines) || insertions(name, before, lines) !== undefined;
  });
}

/**
 * Lines that make `before` into `after` by inserting alone; `undefined` if that cannot be done, or is not worth it.
 * nftables inserts a rule ten times as fast as it empties a chain.
 */
function insertions(
  name: string,
  before: readonly string[] | undefined,
  after: readonly string[],
): readonly string[] | undefined {
  if (before === undefined || after.length - before.length > MOST_INSERTS) return undefined;
  const first = after.findIndex((line) => line === before[0]);
  // One after the other before all that stand, the last one first: no other place need be counted.
  const leading = after.slice(0, Math.max(first, 0)).toReversed().map((line) => `-I ${name} 1 ${line}`);
  const inserts: string[] = [];
  let kept = 0;
  for (const [index, line] of after.entries()) {
    if (index < leading.length) continue;
    if (before[kept] === line) kept += 1;
    else inserts.push(`-I ${name} ${index + 1} ${line}`);
  }
  return kept === before.length ? [...leading, ...inserts] : undefined;
}

const MOST_INSERTS = 16;

/** Removes chains that nothing outside of them refers to; `""` if there are none. */
export function sweepText(chains: readonly string[]): string {
  // All are emptied first: they may refer to each other.
  return transaction([...chains.map((name) => `-F ${name}`), ...chains.map((name) => `-X ${name}`)]);
}

/** Takes all of ours out of a table. `""` if nothing is there. */
export function removalText({ chains, hooks }: Pick<KernelState, "chains" | "hooks">): string {
  const names = [...chains.keys()].toSorted();
  return transaction([
    ...HOOK_POINTS.flatMap((point) => rehook(point, hooks.get(point), undefined)),
    ...names.map((name) => `-F ${name}`),
    ...names.map((name) => `-X ${name}`),
  ]);
}

/** The hooks that a kernel has once these are in force. */
export function hooksInForce(wanted: HookLines): Hooks {
  return new Map([...wanted].map(([point, lines]) => [point, { lines, first: true }]));
}

export function differ(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return !sameElements(a, b);
}

/** In one transaction, so no packet sees the chain without the jump. */
function rehook(point: HookPoint, hook: Hook | undefined, wanted: readonly string[] = []): readonly string[] {
  const lines = hook?.lines ?? [];
  const first = wanted.length === 0 || hook?.first === true;
  if (!differ(lines, wanted) && first) return [];
  if (first && lines.length === wanted.length) {
    return wanted.flatMap((line, index) => {
      return line === lines[index] ? [] : [`-D ${point} ${lines[index]}`, `-I ${point} ${index + 1} ${line}`];
    });
  }
  return [
    ...lines.map((line) => `-D ${point} ${line}`),
    ...wanted.map((line, index) => `-I ${point} ${index + 1} ${line}`),
  ];
}

function transaction(lines: readonly string[]): string {
  return lines.length === 0 ? "" : ["*filter", ...lines, "COMMIT", ""].join("\n");
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
