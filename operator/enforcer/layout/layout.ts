import type { LocalPod, NodeState, PolicyId, ResolvedPolicy } from "../../api/node-state.ts";
import type { Direction } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import { ADDRESS_BITS, familyOf } from "./family.ts";
import { Forks } from "./forks.ts";
import type { Leaf } from "./leaf.ts";
import { LeafCache } from "./leaf.ts";
import type { LayoutOptions } from "./options.ts";
import { DEFAULT_OPTIONS, memoryOf } from "./options.ts";
import type { PolicyClass } from "./policy-class.ts";
import { policyClass } from "./policy-class.ts";
import type { Prefix } from "./prefix.ts";
import { contains, coveringPrefixes, parsePrefix, prefixText } from "./prefix.ts";
import type { ChainName, Rule, SetName } from "./rule.ts";
import type { HookPoint, Ruleset } from "./ruleset.ts";
import { SetShelf } from "./set-shelf.ts";
import { withoutSets } from "./set-free.ts";
import { FORWARD_CHAIN, LOCAL_CHAIN, skeleton } from "./skeleton.ts";
import { WIRE_CHAIN, wireGuard } from "./wire-guard.ts";

/**
 * The chains and sets of one family that enforce `state`: fork by direction, bucket and address to a class, which is
 * shared by all pods with the same policies. Equal states give equal rulesets, in whatever order they were built.
 */
export function layout(state: NodeState, family: Family, options: LayoutOptions = DEFAULT_OPTIONS): Ruleset {
  return new Layout(family, options).of(state);
}

/**
 * `layout` for one state after the other. What does not change from one to the next is not worked out again, and is the
 * same object as before; the result is that of `layout`.
 */
export class Layout {
  readonly #family: Family;
  readonly #options: LayoutOptions;
  readonly #shelf: SetShelf;
  readonly #leaves: LeafCache;
  readonly #closed: readonly Prefix[];
  readonly #classes: Readonly<Record<Direction, ClassCache>>;
  readonly #forks: Readonly<Record<Direction, Forks>>;
  #last: { readonly pods: NodeState["pods"]; readonly policies: NodeState["policies"]; readonly ruleset: Ruleset } | undefined;

  constructor(family: Family, options: LayoutOptions) {
    this.#family = family;
    this.#options = options;
    this.#shelf = new SetShelf(family);
    this.#leaves = new LeafCache(family);
    this.#closed = options.closedNets.filter((net) => familyOf(net) === family).map((net) => parsePrefix(net, family));
    const classes = (direction: Direction) => new ClassCache(direction, this.#shelf, family, options);
    this.#classes = { Ingress: classes("Ingress"), Egress: classes("Egress") };
    const forks = (direction: Direction) => new Forks(direction, family, this.#closed);
    this.#forks = { Ingress: forks("Ingress"), Egress: forks("Egress") };
  }

  of(state: NodeState): Ruleset {
    const { pods, policies } = state;
    const last = this.#last;
    const setFree = this.#options.lacks.has("set");
    // Most changes are members that come and go: the chains do not depend on them.
    const ruleset = last?.pods === pods && last.policies === policies && !setFree
      ? { ...last.ruleset, sets: this.#shelf.filled(new Set(last.ruleset.sets.keys()), state) }
      : this.#lay(state);
    this.#last = { pods, policies, ruleset };
    return ruleset;
  }

  #lay(state: NodeState): Ruleset {
    const family = this.#family;
    const options = this.#options;
    const leaves = this.#leaves.of(state);
    const wire = wireGuard(family, options, state.pods.values().some(isIsolated));
    const judgeLocal = options.nodeTraffic === "Enforce";
    const chains = new Map<ChainName, readonly Rule[]>(
      skeleton({
        family,
        memory: memoryOf(options),
        nets: localNets(leaves, this.#closed, family),
        cut: options.establishedFlows === "Cut",
        judgeLocal,
        wire: wire.matches,
        selves: leaves.filter(({ pod }) => isIsolated(pod)).map(({ address }) => `${address}/${ADDRESS_BITS[family]}`),
      }),
    );
    if (wire.rules.length > 0) chains.set(WIRE_CHAIN, wire.rules);
    const used = new Set<SetName>();
    for (const direction of ["Egress", "Ingress"] as const) {
      const classes = this.#classes[direction].round(state);
      for (const [name, rules] of this.#forks[direction].chains(leaves, (policies) => classes.of(policies))) chains.set(name, rules);
      for (const { name, rules, sets } of classes.end()) {
        chains.set(name, rules);
        for (const set of sets) used.add(set);
      }
    }
    const hooks = new Map<HookPoint, ChainName>([["FORWARD", FORWARD_CHAIN]]);
    if (judgeLocal) hooks.set("INPUT", LOCAL_CHAIN);
    const sets = this.#shelf.filled(used, state);
    return { family, hooks, chains, sets: options.lacks.has("set") ? new Map() : sets };
  }
}

function isIsolated({ ingress, egress }: LocalPod): boolean {
  return ingress.length + egress.length > 0;
}

/** The classes of one direction, each made anew only when one of its policies is another object. */
class ClassCache {
  readonly #direction: Direction;
  readonly #shelf: SetShelf;
  readonly #family: Family;
  readonly #options: LayoutOptions;
  #classes: ReadonlyMap<string, CachedClass> = new Map();

  constructor(direction: Direction, shelf: SetShelf, family: Family, options: LayoutOptions) {
    this.#direction = direction;
    this.#shelf = shelf;
    this.#family = family;
    this.#options = options;
  }

  /** For one state: `of` makes or remembers, `end` tells all that were asked for and forgets the others. */
  round(state: NodeState): { of(policies: readonly PolicyId[]): ChainName; end(): Iterable<PolicyClass> } {
    const before = this.#classes;
    const now = new Map<string, CachedClass>();
    return {
      of: (policies) => {
        const key = policies.join("\n");
        const known = now.get(key) ?? this.#current(before.get(key), policies, state);
        now.set(key, known);
        return known.made.name;
      },
      end: () => {
        this.#classes = now;
        return now.values().map(({ made }) => made);
      },
    };
  }

  #current(known: CachedClass | undefined, ids: readonly PolicyId[], state: NodeState): CachedClass {
    const policies = ids.map((id) => state.policies.get(id));
    // Without sets the members are in the lines.
    const reusable = known !== undefined && !this.#options.lacks.has("set");
    if (reusable && policies.every((policy, index) => policy === known.policies[index])) return known;
    const resolved = policies.filter((policy) => policy !== undefined);
    const made = policyClass(resolved, this.#direction, this.#shelf, this.#family, (rules) => this.#possible(rules, state));
    return { policies, made };
  }

  /** What the kernel can do of the lines that allow: it may only leave out or take apart. */
  #possible(rules: readonly Rule[], state: NodeState): readonly Rule[] {
    const { lacks } = this.#options;
    const possible = lacks.has("sctp") ? rules.filter((line) => !needsSctp(line)) : rules;
    return lacks.has("set") ? withoutSets(possible, this.#shelf.filled(setsOf(possible), state), this.#family) : possible;
  }
}

interface CachedClass {
  readonly policies: readonly (ResolvedPolicy | undefined)[];
  readonly made: PolicyClass;
}

function setsOf(rules: readonly Rule[]): ReadonlySet<SetName> {
  return new Set(rules.flatMap(({ matches }) => matches.flatMap((match) => (match.kind === "set" ? [match.set] : []))));
}

/** An SCTP port cannot be looked at without the extension: the line would allow more than it should, so it goes. */
function needsSctp({ matches }: Rule): boolean {
  return matches.some((match) => match.kind === "ports" && match.protocol === "SCTP");
}

/** Networks that hold all the node's pods: those it says are closed, and what covers the addresses outside of them. */
function localNets(leaves: readonly Leaf[], closed: readonly Prefix[], family: Family): readonly string[] {
  const outside = leaves.map(({ value }) => value)
    .filter((value) => !closed.some((net) => contains(net, value, family)));
  const nets = [...closed, ...coveringPrefixes(outside, family)].map((prefix) => prefixText(prefix, family));
  return [...new Set(nets)];
}
