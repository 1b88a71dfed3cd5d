import type { Family } from "../layout/family.ts";

/** Where the headers hold the two addresses, in bytes from the start of the packet. */
const ADDRESSES: Readonly<Record<Family, { readonly source: number; readonly destination: number; readonly bytes: number }>> = {
  ipv4: { source: 12, destination: 16, bytes: 4 },
  ipv6: { source: 8, destination: 24, bytes: 16 },
};
const WORD = 4;

/**
 * A program for iptables' match `bpf`, in its notation (number of instructions, then code, jumps and operand of each):
 * whether a packet's source is its destination. The compares are those of classic BPF, a word of the addresses at a time.
 */
export function sameAddressProgram(family: Family): string {
  const { source, destination, bytes } = ADDRESSES[family];
  const words = bytes / WORD;
  const compares = Array.from({ length: words }, (_, index) => {
    const instructionsToNo = 4 * (words - index) - 3;
    return [
      load(source + index * WORD),
      KEEP,
      load(destination + index * WORD),
      `${JUMP_IF_AS_KEPT} 0 ${instructionsToNo} 0`,
    ];
  });
  const instructions = [...compares.flat(), YES, NO];
  return [instructions.length, ...instructions].join(",");
}

/** A word of the packet into the accumulator. */
function load(offset: number): string {
  return `32 0 0 ${offset}`;
}

/** From the accumulator into the index register. */
const KEEP = "7 0 0 0";
const JUMP_IF_AS_KEPT = 29;
const YES = "6 0 0 65535";
const NO = "6 0 0 0";
