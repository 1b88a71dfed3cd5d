import { PREFIX } from "../layout/ruleset.ts";
import { leadsToOurs } from "./save-parser.ts";

/**
 * Bits of the connection mark that rules of others in the output of `iptables-save` set, restore or match. A rule that
 * names no mask takes all of them.
 */
export function foreignMarkBits(saved: string): number {
  const rules = saved.split("\n").filter((line) => line.startsWith("-A ") && !line.startsWith(`-A ${PREFIX}`));
  const others = rules.filter((rule) => !leadsToOurs(rule));
  return others.reduce((bits, rule) => bits | setBits(rule) | copiedBits(rule) | matchedBits(rule), 0) >>> 0;
}

function setBits(rule: string): number {
  return masked(rule.match(/-j CONNMARK --(?:set-x?mark|and-mark|or-mark|xor-mark) \S+?(?:\/(0x[0-9a-f]+))?(?: |$)/));
}

function copiedBits(rule: string): number {
  if (!/-j CONNMARK --(?:save|restore)-mark/.test(rule)) return 0;
  // Without --ctmask or --mask the whole mark is copied.
  return masked(rule.match(/--(?:ctmask|mask) (0x[0-9a-f]+)/) ?? ["", undefined]);
}

function matchedBits(rule: string): number {
  return masked(rule.match(/-m connmark (?:! )?--mark 0x[0-9a-f]+(?:\/(0x[0-9a-f]+))?/));
}

function masked(found: readonly (string | undefined)[] | null): number {
  return found === null ? 0 : Number(found[1] ?? 0xffffffff);
}
