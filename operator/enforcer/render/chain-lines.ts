import type { Rule } from "../layout/rule.ts";
import type { Ruleset } from "../layout/ruleset.ts";
import type { Marks } from "./marks.ts";
import { ruleText } from "./rule-text.ts";

/** By chain, the text of each rule. */
export type Chains = ReadonlyMap<string, readonly string[]>;

/** The text of every chain: the same list for the same rules, since most changes touch few chains. */
export function chainsOf({ chains }: Ruleset, marks: Marks): Chains {
  return new Map([...chains].map(([name, rules]) => [name, linesOf(rules, marks)]));
}

export function linesOf(rules: readonly Rule[], marks: Marks): readonly string[] {
  const known = LINES.get(rules);
  if (known !== undefined && (known.marks === undefined || isSame(known.marks, marks))) return known.lines;
  const lines = rules.map((rule) => lineOf(rule, marks));
  LINES.set(rules, { marks: rules.some(carriesMark) ? marks : undefined, lines });
  return lines;
}

function lineOf(rule: Rule, marks: Marks): string {
  if (carriesMark(rule)) return ruleText(rule, marks);
  const text = TEXTS.get(rule) ?? ruleText(rule, marks);
  TEXTS.set(rule, text);
  return text;
}

/** With the marks that they were written for; `undefined` = they carry none, and their text is always the same. */
const LINES = new WeakMap<readonly Rule[], { readonly marks: Marks | undefined; readonly lines: readonly string[] }>();
/** Of rules without marks. */
const TEXTS = new WeakMap<Rule, string>();

function isSame(a: Marks, b: Marks): boolean {
  return a.mask === b.mask && a.generation === b.generation && a.state === b.state;
}

function carriesMark({ matches, target }: Rule): boolean {
  return target.kind === "mark" || matches.some(({ kind }) => kind === "mark" || kind === "state");
}
