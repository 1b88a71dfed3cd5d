import type { MarkName } from "../layout/rule.ts";

/** What the rules' texts need beside the rules: our field of the connection mark, and whose rules they are. */
export interface Marks {
  /** A run of at least 8 bits that nobody else on the node uses; 0 = the rules use no mark. */
  readonly mask: number;
  /** From 1 to one less than `deniedValue`; 0 in a connection's mark means "no verdict". */
  readonly generation: number;
  /** Of the ruleset that the generation was written for, see `StateNames`; `undefined` = rules cannot carry it. */
  readonly state: string | undefined;
}

/** Fields that may be free, most likely first: the low bits are what others take first. */
export const FIELDS: readonly number[] = [0xffff0000, 0x0ffff000, 0x00ffff00, 0x000ffff0, 0x0000ffff];

/** The value of connections that were cut: above every generation. */
export function deniedValue(mask: number): number {
  return mask >>> shiftOf(mask);
}

/** The next generation, round and round. */
export function nextGeneration({ mask, generation }: Pick<Marks, "mask" | "generation">): number {
  return (generation % (deniedValue(mask) - 1)) + 1;
}

/** `value/mask` in iptables' notation. */
export function markText(name: MarkName, { mask, generation }: Pick<Marks, "mask" | "generation">): string {
  return fieldText(name === "denied" ? deniedValue(mask) : generation, mask);
}

export function fieldText(value: number, mask: number): string {
  // Shifts give signed 32-bit numbers.
  return `0x${((value << shiftOf(mask)) >>> 0).toString(16)}/0x${mask.toString(16)}`;
}

/** `count` values from `first` on as one value and mask; `count` is a power of two that divides `first`. */
export function runText(first: number, count: number, mask: number): string {
  const [value = ""] = fieldText(first, mask).split("/");
  return `${value}/0x${((mask & ~((count - 1) << shiftOf(mask))) >>> 0).toString(16)}`;
}

/** The value that a mark holds in our field. */
export function fieldValue(mark: number, mask: number): number {
  return (mark & mask) >>> shiftOf(mask);
}

function shiftOf(mask: number): number {
  return 31 - Math.clz32(mask & -mask);
}
