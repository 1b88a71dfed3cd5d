import type { Family } from "../layout/family.ts";
import { ADDRESS_BITS } from "../layout/family.ts";
import type { ChainName, Rule } from "../layout/rule.ts";
import type { Ruleset } from "../layout/ruleset.ts";
import { linesOf } from "./chain-lines.ts";
import type { KernelState } from "./kernel-state.ts";
import type { Marks } from "./marks.ts";

/**
 * The ruleset with the lines for single addresses, which stand first in their chain, in the order in which they stand in
 * the kernel, new ones before them. Which of them a packet meets first does not matter, and to put a line first is the
 * quickest way to add it: for any other place iptables-nft asks the kernel for all rules of the chain.
 */
export function inKernelOrder({ chains }: Pick<KernelState, "chains">, ruleset: Ruleset, marks: Marks): Ruleset {
  const moved = new Map<ChainName, readonly Rule[]>();
  for (const [name, rules] of ruleset.chains) {
    const standing = chains.get(name);
    const ordered = standing === undefined ? rules : reordered(standing, rules, ruleset.family, marks);
    if (ordered !== rules) moved.set(name, ordered);
  }
  if (moved.size === 0) return ruleset;
  const ordered = new Map(ruleset.chains);
  for (const [name, rules] of moved) ordered.set(name, rules);
  return { ...ruleset, chains: ordered };
}

function reordered(
  standing: readonly string[],
  rules: readonly Rule[],
  family: Family,
  marks: Marks,
): readonly Rule[] {
  const known = ORDERED.get(rules);
  // The kernel stands as it did, or as it was to stand then.
  if (known !== undefined && (known.standing === standing || linesOf(known.ordered, marks) === standing)) return known.ordered;
  const lines = linesOf(rules, marks);
  const count = leaves(rules, family);
  const leafOf = new Map(rules.slice(0, count).map((rule, index) => [lines[index], rule]));
  const kept = standing.flatMap((line) => leafOf.get(line) ?? []);
  const old = new Set(kept);
  // A line that stands twice is one too many, and the chain has to be written anew.
  const ordered = old.size < kept.length
    ? rules
    : [...rules.slice(0, count).filter((rule) => !old.has(rule)), ...kept, ...rules.slice(count)];
  ORDERED.set(rules, { standing, ordered });
  return ordered;
}

const ORDERED = new WeakMap<readonly Rule[], { readonly standing: readonly string[]; readonly ordered: readonly Rule[] }>();

/**
 * How many of the first lines match single addresses and nothing else; 0 if a packet may match two of them: the first
 * one decides then.
 */
function leaves(rules: readonly Rule[], family: Family): number {
  const subjects = new Set<string>();
  for (const rule of rules) {
    const subject = SUBJECTS.get(rule) ?? subjectOf(rule, family);
    SUBJECTS.set(rule, subject);
    if (subject === "") break;
    const [first = subject] = subjects;
    if (subjects.has(subject) || sidesOf(subject) !== sidesOf(first)) return 0;
    subjects.add(subject);
  }
  return subjects.size;
}

/** `""` = it matches something else than single addresses. */
function subjectOf({ matches }: Rule, family: Family): string {
  const nets = matches.map((each) => (each.kind === "source" || each.kind === "destination" ? `${each.kind} ${each.net}` : ""));
  return nets.every((net) => net.endsWith(`/${ADDRESS_BITS[family]}`)) ? nets.join() : "";
}

/** Which sides it looks at: one that looks at more of them may match what another one matches. */
function sidesOf(subject: string): string {
  return subject.replaceAll(/ [^,]+/g, "");
}

const SUBJECTS = new WeakMap<Rule, string>();
