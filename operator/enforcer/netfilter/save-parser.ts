import type { Family } from "../layout/family.ts";
import { PREFIX } from "../layout/ruleset.ts";
import { FORWARD_CHAIN } from "../layout/skeleton.ts";
import type { Hook, KernelSet } from "../render/kernel-state.ts";

export interface SavedRules {
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly hook: Hook;
}

/** Our chains in the output of `iptables-save -t filter`. */
export function parseRules(saved: string): SavedRules {
  const chains = new Map<string, string[]>();
  const forward: string[] = [];
  for (const line of saved.split("\n")) {
    const [, declared] = line.match(/^:(\S+) /) ?? [];
    if (declared?.startsWith(PREFIX)) chains.set(declared, []);
    const [, chain = "", rule = ""] = line.match(/^-A (\S+) (.*)$/) ?? [];
    chains.get(chain)?.push(rule);
    if (chain === "FORWARD") forward.push(rule);
  }
  const jump = `-j ${FORWARD_CHAIN}`;
  return {
    chains,
    hook: { jumps: forward.filter((rule) => rule === jump).length, first: forward[0] === jump },
  };
}

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
