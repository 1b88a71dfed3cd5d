import { FORWARD_CHAIN } from "../layout/skeleton.ts";
import type { Hook } from "./kernel-state.ts";

type Chains = ReadonlyMap<string, readonly string[]>;

const JUMP = `-j ${FORWARD_CHAIN}`;

/**
 * `iptables-restore --noflush` input, one transaction, that makes the chains of `current` those of `wanted` and puts
 * our jump first in FORWARD; `""` if they are so. A chain that differs is written whole: a line that is merely
 * appended may stand behind a dead one of the same address. Chains that are not in `wanted` stay.
 */
export function chainsText(current: Chains, wanted: Chains, hook: Hook): string {
  const changed = [...wanted].filter(([name, lines]) => differ(current.get(name), lines)).toSorted(byName);
  return transaction([
    ...changed.map(([name]) => `:${name} - [0:0]`),
    ...changed.flatMap(([name, lines]) => lines.map((line) => `-A ${name} ${line}`)),
    ...(hook.first && hook.jumps === 1 ? [] : rehook(hook)),
  ]);
}

/** Removes chains that nothing outside of them refers to; `""` if there are none. */
export function sweepText(chains: readonly string[]): string {
  // All are emptied first: they may refer to each other.
  return transaction([...chains.map((name) => `-F ${name}`), ...chains.map((name) => `-X ${name}`)]);
}

export function differ(a: readonly string[] | undefined, b: readonly string[]): boolean {
  return a === undefined || a.length !== b.length || a.some((line, index) => line !== b[index]);
}

/** In one transaction, so no packet sees FORWARD without the jump. */
function rehook({ jumps }: Hook): readonly string[] {
  return [...Array<string>(jumps).fill(`-D FORWARD ${JUMP}`), `-I FORWARD 1 ${JUMP}`];
}

function transaction(lines: readonly string[]): string {
  return lines.length === 0 ? "" : ["*filter", ...lines, "COMMIT", ""].join("\n");
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
