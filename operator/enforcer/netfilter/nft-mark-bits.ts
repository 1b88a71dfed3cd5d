import { PREFIX } from "../layout/ruleset.ts";

const ALL = 0xffffffff;
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
  // `ct mark set ct mark and 0xff or 0x100`: what is kept by the mask and not set stays as it was.
  const [, kept, set] = line.match(/ct mark set ct mark (?:and|&) (0x[0-9a-f]+)(?: (?:or|\|) (0x[0-9a-f]+))?/) ?? [];
  if (kept !== undefined) return (~Number(kept) | Number(set ?? 0)) >>> 0;
  const [, added] = line.match(/ct mark set ct mark (?:or|\|) (0x[0-9a-f]+)/) ?? [];
  if (added !== undefined) return Number(added);
  const [, mask] = line.match(/ct mark (?:and|&) (0x[0-9a-f]+) (?:==|!=)/) ?? [];
  return mask === undefined || / ct mark set /.test(line) ? ALL : Number(mask);
}
