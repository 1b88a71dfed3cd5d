import { changesBetween } from "../../api/member-set.ts";
import type { ChainName, Match, Rule, SetName } from "../layout/rule.ts";
import { setsOf } from "../layout/rule.ts";
import type { AddressSet, Ruleset } from "../layout/ruleset.ts";
import type { Chains } from "./chain-lines.ts";
import { differ } from "./chain-text.ts";
import type { KernelState } from "./kernel-state.ts";

/**
 * The ruleset with each set under the name that it has, or is to have, in the kernel. Members change in place, and the
 * chains in one transaction, but not both at once: a class that is left behind while its set still gains members, or
 * taken up while its set has still to lose some, would let pairs pass for a moment that neither state allows. Such a
 * set gets a copy with the new members under a new name (`<name>-<n>`), which the new chains refer to. So does one under
 * whose name the kernel has something else.
 * @param render the text of the chains of a ruleset
 */
export function withVersions(current: KernelState, ruleset: Ruleset, render: (ruleset: Ruleset) => Chains): Ruleset {
  const names = standingNames(current);
  const standing = renamed(ruleset, names);
  const unfit = unfitSets(current, standing);
  const moving = memberChanges(current, standing);
  if (unfit.size + moving.gaining.size + moving.losing.size === 0) return standing;
  const { left, taken } = usesThatChange(current.chains, render(standing));
  const atStake = new Set([
    ...unfit,
    ...[...moving.gaining].filter((name) => left.has(name)),
    ...[...moving.losing].filter((name) => taken.has(name)),
  ]);
  if (atStake.size === 0) return standing;
  const copies = new Map(names);
  for (const name of atStake) copies.set(meaningOf(name), nextVersion(name, current));
  return renamed(ruleset, copies);
}

/** By what it means: the name under which a set stands in the kernel, where that is not the same. */
function standingNames({ sets, chains }: KernelState): ReadonlyMap<string, string> {
  const versions = [...sets.keys()].filter((name) => meaningOf(name) !== name);
  if (versions.length === 0) return NO_NAMES;
  const used = new Set([...chains.values()].flatMap(setsInAll));
  // An older one that no chain refers to waits to be swept up.
  return new Map(versions.filter((name) => used.has(name)).map((name) => [meaningOf(name), name]));
}

const NO_NAMES: ReadonlyMap<string, string> = new Map();

/** The name without the number of its version. */
function meaningOf(name: string): string {
  return name.match(/^(TW-[a-z]+[0-9a-f]{16})-\d+$/)?.[1] ?? name;
}

function nextVersion(name: string, { sets }: KernelState): string {
  const meaning = meaningOf(name);
  const taken = [...sets.keys()].filter((other) => meaningOf(other) === meaning);
  return `${meaning}-${1 + Math.max(...taken.map((other) => Number(other.slice(meaning.length + 1) || 0)))}`;
}

/** Sets under whose name the kernel has one of another kind, see `setKind`: it is no use to us, and may be in use. */
function unfitSets({ sets: current }: KernelState, { sets }: Ruleset): ReadonlySet<string> {
  const unfit = sets.values().filter(({ name, type }) => (current.get(name)?.type ?? type) !== type);
  return new Set(unfit.map(({ name }) => name));
}

interface Moving {
  readonly gaining: ReadonlySet<string>;
  readonly losing: ReadonlySet<string>;
}

/** Live sets whose members change. */
function memberChanges({ sets: current }: KernelState, { sets }: Ruleset): Moving {
  const gaining = new Set<string>();
  const losing = new Set<string>();
  for (const { name, members } of sets.values()) {
    const live = current.get(name)?.members;
    if (live === undefined || live === members) continue;
    const { added, removed } = changesBetween(live, members);
    if (added.length > 0) gaining.add(name);
    if (removed.length > 0) losing.add(name);
  }
  return { gaining, losing };
}

/** Sets of classes that somebody is led away from, and of classes that somebody is led to. */
function usesThatChange(current: Chains, wanted: Chains): { readonly left: Set<string>; readonly taken: Set<string> } {
  const left = new Set<string>();
  const taken = new Set<string>();
  for (const [name, lines] of current) {
    const next = wanted.get(name);
    if (next !== undefined && !differ(lines, next)) continue;
    const kept = new Set(next);
    for (const line of lines) if (!kept.has(line)) addUses(left, line, current);
  }
  for (const [name, lines] of wanted) {
    const before = current.get(name);
    if (!differ(before, lines)) continue;
    const had = new Set(before);
    for (const line of lines) if (!had.has(line)) addUses(taken, line, wanted);
  }
  return { left, taken };
}

/** Sets that a line looks up, or that the class to which it leads does. */
function addUses(uses: Set<string>, line: string, chains: Chains): void {
  for (const set of setsIn(line)) uses.add(set);
  const chain = line.match(/ -g (TW-C\S+)$/)?.[1];
  for (const inside of (chain === undefined ? undefined : chains.get(chain)) ?? []) {
    for (const set of setsIn(inside)) uses.add(set);
  }
}

function setsIn(line: string): readonly string[] {
  return [...line.matchAll(/--match-set (\S+)/g)].map(([, set = ""]) => set);
}

/** Sets that a chain looks up: most chains stay as they are from one state to the next. */
function setsInAll(lines: readonly string[]): readonly string[] {
  const known = LOOKED_UP.get(lines) ?? lines.flatMap(setsIn);
  LOOKED_UP.set(lines, known);
  return known;
}

const LOOKED_UP = new WeakMap<readonly string[], readonly string[]>();

function renamed(ruleset: Ruleset, names: ReadonlyMap<string, string>): Ruleset {
  if (names.size === 0) return ruleset;
  const nameOf = (set: SetName): SetName => (names.get(set) ?? set) as SetName;
  return {
    ...ruleset,
    chains: new Map<ChainName, readonly Rule[]>([...ruleset.chains].map(([name, list]) => [name, renamedRules(list, names)])),
    sets: new Map<SetName, AddressSet>(
      ruleset.sets.values().map((set) => [nameOf(set.name), { ...set, name: nameOf(set.name) }]),
    ),
  };
}

/** The same list as before for the same names: whoever compares has nothing to do. */
function renamedRules(rules: readonly Rule[], names: ReadonlyMap<string, string>): readonly Rule[] {
  const known = RENAMED.get(rules) ?? { sets: setsOf(rules), names: [], rules };
  const now = known.sets.map((set) => (names.get(set) ?? set) as SetName);
  if (now.every((name, index) => name === known.sets[index])) return rules;
  if (now.every((name, index) => name === known.names[index])) return known.rules;
  const match = (each: Match): Match => (each.kind === "set" ? { ...each, set: (names.get(each.set) ?? each.set) as SetName } : each);
  const list = rules.map((each) => ({ ...each, matches: each.matches.map(match) }));
  RENAMED.set(rules, { sets: known.sets, names: now, rules: list });
  return list;
}

/** By the rules as layout has them: the sets that they look up, and how the rules read with the names used last. */
interface Renamed {
  readonly sets: readonly SetName[];
  readonly names: readonly SetName[];
  readonly rules: readonly Rule[];
}

const RENAMED = new WeakMap<readonly Rule[], Renamed>();
