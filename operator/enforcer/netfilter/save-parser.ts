import type { Family } from "../layout/family.ts";
import type { HookPoint } from "../layout/ruleset.ts";
import { HOOK_POINTS, PREFIX } from "../layout/ruleset.ts";
import type { Hook, KernelSet } from "../render/kernel-state.ts";
import { OTHER_FAMILY, setKind } from "../render/set-kind.ts";

export interface SavedRules {
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly hooks: ReadonlyMap<HookPoint, Hook>;
}

/** Our chains in the output of `iptables-save -t filter`. */
export function parseRules(saved: string): SavedRules {
  const chains = new Map<string, string[]>();
  const builtin = new Map<string, string[]>(HOOK_POINTS.map((point) => [point, []]));
  for (const line of saved.split("\n")) {
    const [, declared] = line.match(/^:(\S+) /) ?? [];
    if (declared?.startsWith(PREFIX)) chains.set(declared, []);
    const [, chain = "", rule = ""] = line.match(/^-A (\S+) (.*)$/) ?? [];
    chains.get(chain)?.push(rule);
    builtin.get(chain)?.push(rule);
  }
  return { chains, hooks: new Map(HOOK_POINTS.map((point) => [point, hookOf(builtin.get(point) ?? [])])) };
}

/** At the end: the words of a comment are none of ours. */
const TO_OURS = new RegExp(`(?:^| )-[jg] ${PREFIX}\\S+$`);

function hookOf(rules: readonly string[]): Hook {
  const lines = rules.filter(leadsToOurs);
  return { lines, first: lines.length > 0 && rules.slice(0, lines.length).every(leadsToOurs) };
}

/** Whether a rule as `iptables-save` prints it jumps to a chain of ours. */
export function leadsToOurs(rule: string): boolean {
  return TO_OURS.test(rule);
}

/**
 * Tables whose rules iptables-nft does not show, with its words: there is something in them that it cannot express. It
 * says so with exit status 0.
 */
export function hiddenTables(saved: string): ReadonlyMap<string, string> {
  return new Map(saved.matchAll(HIDDEN).map(([words, table = ""]) => [table, words]));
}

const HIDDEN = /^# Table `(\S+)' is incompatible.*$/gm;

/** How many packets reached the last rule of each of our chains, in the output of `iptables-save -c`. */
export function parseReached(saved: string): ReadonlyMap<string, number> {
  const counted = saved.matchAll(/^\[(\d+):\d+\] -A (\S+) /gm);
  const ours = counted.filter(([, , chain]) => chain?.startsWith(PREFIX));
  // Of several rules of a chain the last one stays.
  return new Map(ours.map(([, packets, chain = ""]) => [chain, Number(packets)]));
}

/**
 * What changes only with chains and rules in the output of `iptables-save -t filter`: all but the time and the policies
 * with the number of their packets. Of the bytes, since it is asked of each check.
 */
export function rulesWithin(saved: Buffer): Buffer {
  let start = 0;
  for (;;) {
    const end = saved.indexOf("\n", start);
    if (end === -1 || !isHead(saved.subarray(start, end))) break;
    start = end + 1;
  }
  const commit = saved.lastIndexOf("\nCOMMIT\n");
  return saved.subarray(start, commit === -1 ? saved.length : commit + 1);
}

/** A comment, the name of the table, or a chain with a policy: those come first. */
function isHead(line: Buffer): boolean {
  const [sign] = line;
  return sign === SIGNS.comment || sign === SIGNS.table || (sign === SIGNS.chain && !line.includes(NO_POLICY));
}

const SIGNS = { comment: 35, table: 42, chain: 58 };
const NO_POLICY = " - [";

/** All that `parseRules` looks at, without the time and the number of packets. */
export function outlineOfRules(saved: string): string {
  return (saved.match(RULES_THAT_COUNT) ?? []).join("\n");
}

const RULES_THAT_COUNT = new RegExp(`^(?::${PREFIX}\\S+|-A (?:${PREFIX}|(?:${HOOK_POINTS.join("|")}) ).*$)`, "gm");

/** Our sets, of which kind each is and how many members it has, in the output of `ipset list -t`. */
export function outlineOfSets(listed: string): string {
  return (listed.match(SETS_THAT_COUNT) ?? []).join("\n").replaceAll(SIZES, "");
}

const SETS_THAT_COUNT = new RegExp(`^Name: ${PREFIX}[^]*?^Number of entries: \\d+$`, "gm");
/** They grow and shrink with time, and with rules that refer to the set. */
const SIZES = /^(?:Revision|Size in memory|References): .*\n| (?:hashsize|bucketsize|initval) \S+/gm;

/** Our sets in the output of `ipset save`: those of one family with their members, and the names of the others. */
export function parseSets(saved: string, family: Family): ReadonlyMap<string, KernelSet> {
  const sets = new Map<string, { readonly type: string; readonly members: Set<string> }>();
  for (const line of saved.split("\n")) {
    const [verb, name = "", ...rest] = line.split(" ");
    if (!name.startsWith(PREFIX)) continue;
    if (verb === "create") sets.set(name, { type: setKind(line, family), members: new Set() });
    const set = sets.get(name);
    if (verb === "add" && set?.type !== OTHER_FAMILY) set?.members.add(rest.join(" "));
  }
  return sets;
}
