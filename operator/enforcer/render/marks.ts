import type { MarkName } from "../layout/rule.ts";

/** Our field of the connection mark and the values in it. 0 means "no verdict". */
export interface Marks {
  /** 16 neighbouring bits that nobody else on the node uses. */
  readonly mask: number;
  /** From 1 to 0xfffe. */
  readonly generation: number;
  /** Of the ruleset that the generation was written for, see `StateNames`. */
  readonly state: string;
}

/** Above every generation. */
export const DENIED = 0xffff;

/** Fields that may be free, most likely first: the low bits are what others take first. */
export const FIELDS: readonly number[] = [0xffff0000, 0x0ffff000, 0x00ffff00, 0x000ffff0, 0x0000ffff];

/** The next generation: 1 to 0xfffe, round and round. */
export function nextGeneration(generation: number): number {
  return (generation % (DENIED - 1)) + 1;
}

/** `value/mask` in iptables' notation. */
export function markText(name: MarkName, marks: Marks): string {
  return fieldText(name === "denied" ? DENIED : marks.generation, marks.mask);
}

export function fieldText(value: number, mask: number): string {
  // Shifts give signed 32-bit numbers.
  return `0x${((value << shiftOf(mask)) >>> 0).toString(16)}/0x${mask.toString(16)}`;
}

/** The value that a mark holds in our field. */
export function fieldValue(mark: number, mask: number): number {
  return (mark & mask) >>> shiftOf(mask);
}

function shiftOf(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
