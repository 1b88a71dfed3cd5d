import type { Family } from "../layout/family.ts";
import type { HookPoint } from "../layout/ruleset.ts";
import { HOOK_POINTS, PREFIX } from "../layout/ruleset.ts";
import type { Hook, KernelSet } from "../render/kernel-state.ts";

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

/** How many packets reached the last rule of each of our chains, in the output of `iptables-save -c`. */
export function parseReached(saved: string): ReadonlyMap<string, number> {
  const counted = saved.matchAll(/^\[(\d+):\d+\] -A (\S+) /gm);
  const ours = counted.filter(([, , chain]) => chain?.startsWith(PREFIX));
  // Of several rules of a chain the last one stays.
  return new Map(ours.map(([, packets, chain = ""]) => [chain, Number(packets)]));
}

/** All that `parseRules` looks at, without the time and the number of packets. */
export function outlineOfRules(saved: string): string {
  return (saved.match(RULES_THAT_COUNT) ?? []).join("\n");
}

const RULES_THAT_COUNT = new RegExp(`^(?::${PREFIX}\\S+|-A (?:${PREFIX}|(?:${HOOK_POINTS.join("|")}) ).*$)`, "gm");

/** Our sets and how many members each has, in the output of `ipset list -t`. */
export function outlineOfSets(listed: string): string {
  return (listed.match(SETS_THAT_COUNT) ?? []).join("\n").replaceAll(SIZES, "");
}

const SETS_THAT_COUNT = new RegExp(`^Name: ${PREFIX}[^]*?^Number of entries: \\d+$`, "gm");
/** They grow and shrink with time, and with rules that refer to the set. */
const SIZES = /^(?:Header|Revision|Size in memory|References): .*\n/gm;

/** Our sets of one family in the output of `ipset save`. */
export function parseSets(saved: string, family: Family): ReadonlyMap<string, KernelSet> {
  const inet = family === "ipv4" ? "inet" : "inet6";
  const sets = new Map<string, { readonly type: string; readonly members: Set<string> }>();
  for (const line of saved.split("\n")) {
    const [verb, name = "", ...rest] = line.split(" ");
    if (!name.startsWith(PREFIX)) continue;
    if (verb === "create" && rest[1] === "family" && rest[2] === inet) {
      sets.set(name, { type: rest[0] ?? "", members: new Set() });
    }
    if (verb === "add") sets.get(name)?.members.add(rest.join(" "));
  }
  return sets;
}
