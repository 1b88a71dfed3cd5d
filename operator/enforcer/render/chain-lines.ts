import type { ChainName, MarkName, Rule } from "../layout/rule.ts";
import type { Ruleset } from "../layout/ruleset.ts";
import type { Marks } from "./marks.ts";
import { ruleText } from "./rule-text.ts";

/** By chain, the text of each rule. */
export type Chains = ReadonlyMap<string, readonly string[]>;

/**
 * The text of every chain: the same list for the same rules, since most changes touch few chains, and the same map for
 * the same chains and marks.
 */
export function chainsOf({ chains }: Pick<Ruleset, "chains">, marks: Marks): Chains {
  const known = WRITTEN.get(chains);
  if (known !== undefined && isSame(known.marks, marks)) return known.lines;
  const written = known === undefined ? writeAll(chains, marks) : writeMarked(known, marks);
  WRITTEN.set(chains, written);
  return written.lines;
}

/** All chains of a ruleset, with the marks of then. */
interface Written {
  readonly marks: Marks;
  readonly lines: Chains;
  /** Those that read otherwise with other marks: few. */
  readonly marked: readonly (readonly [ChainName, readonly Rule[]])[];
}

const WRITTEN = new WeakMap<Ruleset["chains"], Written>();

function writeAll(chains: Ruleset["chains"], marks: Marks): Written {
  const lines = new Map<string, readonly string[]>();
  const marked: (readonly [ChainName, readonly Rule[]])[] = [];
  for (const [name, rules] of chains) {
    const chain = chainLines(rules, marks);
    lines.set(name, chain.lines);
    if (chain.needs.length > 0) marked.push([name, rules]);
  }
  return { marks, lines, marked };
}

function writeMarked({ lines: before, marked }: Written, marks: Marks): Written {
  const lines = new Map(before);
  for (const [name, rules] of marked) lines.set(name, linesOf(rules, marks));
  return { marks, lines, marked };
}

export function linesOf(rules: readonly Rule[], marks: Marks): readonly string[] {
  return chainLines(rules, marks).lines;
}

/** One chain, with the marks of then. */
interface ChainLines {
  /** What the text depends on beside the rules. */
  readonly needs: readonly (keyof Marks)[];
  readonly marks: Marks;
  readonly lines: readonly string[];
}

const LINES = new WeakMap<readonly Rule[], ChainLines>();
/** Of rules without marks. */
const TEXTS = new WeakMap<Rule, string>();

function chainLines(rules: readonly Rule[], marks: Marks): ChainLines {
  const known = LINES.get(rules);
  const needs = known?.needs ?? [...needsOf(rules)];
  if (known !== undefined && needs.every((need) => known.marks[need] === marks[need])) return known;
  const chain = { needs, marks, lines: rules.map((rule) => lineOf(rule, marks)) };
  LINES.set(rules, chain);
  return chain;
}

function lineOf(rule: Rule, marks: Marks): string {
  const known = TEXTS.get(rule);
  if (known !== undefined) return known;
  const text = ruleText(rule, marks);
  if (needsOf([rule]).size === 0) TEXTS.set(rule, text);
  return text;
}

/** The text of a long chain should not depend on the generation. */
function needsOf(rules: readonly Rule[]): ReadonlySet<keyof Marks> {
  const needs = new Set<keyof Marks>();
  for (const { matches, target } of rules) {
    for (const match of matches) {
      if (match.kind === "mark") needOf(match.mark, needs);
      if (match.kind === "state") needs.add("state");
    }
    if (target.kind === "mark") needOf(target.mark, needs);
  }
  return needs;
}

function needOf(mark: MarkName, needs: Set<keyof Marks>): void {
  needs.add("mask");
  if (mark === "generation") needs.add("generation");
}

function isSame(a: Marks, b: Marks): boolean {
  return a.mask === b.mask && a.generation === b.generation && a.state === b.state;
}
