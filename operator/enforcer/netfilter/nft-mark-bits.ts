import { PREFIX } from "../layout/ruleset.ts";

export const ALL_BITS = 0xffffffff;
/** Our own rule in a chain of the kernel's. */
const TO_OURS = new RegExp(` (?:jump|goto) ${PREFIX}\\S+$`);

/**
 * Bits of the connection mark that native nftables rules of others in the output of `nft list ruleset` set or match.
 * What is not understood uses all of them.
 */
export function nftMarkBits(listed: string): number {
  let bits = 0;
  let ours = false;
  for (const line of listed.split("\n")) {
    const [, chain] = line.match(/^\s*chain (\S+) \{/) ?? [];
    if (chain !== undefined) ours = chain.startsWith(PREFIX);
    if (!ours && /\bct mark\b/.test(line) && !TO_OURS.test(line)) bits = (bits | lineBits(line)) >>> 0;
  }
  return bits;
}

function lineBits(line: string): number {
  const [, changes] = line.match(CHANGES) ?? [];
  if (changes !== undefined) return changes.matchAll(CHANGE).reduce((bits, each) => bits | changedBits(each), 0);
  const [, copied] = line.match(/meta mark set ct mark (?:and|&) (0x[0-9a-f]+)/) ?? [];
  const [, matched] = line.match(/ct mark (?:and|&) (0x[0-9a-f]+) (?:==|!=)/) ?? [];
  const mask = copied ?? matched;
  return mask === undefined || / ct mark set /.test(line) ? ALL_BITS : Number(mask);
}

/** Whether there are rules of iptables' own kind about connection marks, which nft cannot read. */
export function hasOpaqueMarks(listed: string): boolean {
  return /\bxt (?:target|match) "?connmark\b/i.test(listed);
}

/** `ct mark set ct mark and 0xff or 0x100`. iptables-nft's `--set-xmark 0x100/0xff00` is `xor 0x100 and 0xffff00ff`. */
const CHANGES = /ct mark set ct mark((?: (?:and|or|xor|[&|^]) 0x[0-9a-f]+\b)+)(?! (?:and|or|xor|[&|^]) )/;
const CHANGE = / (and|or|xor|[&|^]) (0x[0-9a-f]+)/g;

/** What a mask keeps, and what is not set, stays as it was. */
function changedBits([, verb, operand]: readonly string[]): number {
  return verb === "and" || verb === "&" ? ~Number(operand) : Number(operand);
}
