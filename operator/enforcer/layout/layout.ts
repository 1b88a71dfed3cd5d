import type { LocalPod, NodeState } from "../../api/node-state.ts";
import type { Direction } from "../../api/network-policy.ts";
import { AuditForks, auditSubjects, isAudited, recording } from "./audits.ts";
import { groupLeaves } from "./buckets.ts";
import { ClassCache } from "./class-cache.ts";
import type { Family } from "./family.ts";
import { familyOf } from "./family.ts";
import { Forks } from "./forks.ts";
import type { Leaf } from "./leaf.ts";
import { LeafCache } from "./leaf.ts";
import type { LayoutOptions } from "./options.ts";
import { DEFAULT_OPTIONS, memoryOf } from "./options.ts";
import type { Prefix } from "./prefix.ts";
import { contains, coveringPrefixes, fastPrefix, parsePrefix, prefixText } from "./prefix.ts";
import type { ChainName, Rule, SetName } from "./rule.ts";
import { RETURN, rule } from "./rule.ts";
import type { Ruleset } from "./ruleset.ts";
import { sameElements } from "./same-elements.ts";
import { SetShelf } from "./set-shelf.ts";
import type { SkeletonPlan } from "./skeleton.ts";
import { DROP_CHAIN, hooks, skeleton } from "./skeleton.ts";
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
  /** One rule for all pods: it is the same whoever comes and goes. */
  readonly #self: Rule;
  readonly #classes: Readonly<Record<Direction, ClassCache>>;
  readonly #forks: Readonly<Record<Direction, Forks>>;
  readonly #audits: Readonly<Record<Direction, AuditForks>>;
  #last: (Ground & { readonly ruleset: Ruleset }) | undefined;

  constructor(family: Family, options: LayoutOptions) {
    this.#family = family;
    this.#options = options;
    this.#shelf = new SetShelf(family);
    this.#leaves = new LeafCache(family);
    this.#closed = options.closedNets.filter((net) => familyOf(net) === family).map((net) => parsePrefix(net, family));
    this.#self = rule([{ kind: "to itself", family }], RETURN);
    const classes = (direction: Direction) => new ClassCache(direction, this.#shelf, family, options);
    this.#classes = { Ingress: classes("Ingress"), Egress: classes("Egress") };
    const forks = (direction: Direction) => new Forks(direction, family, this.#closed);
    this.#forks = { Ingress: forks("Ingress"), Egress: forks("Egress") };
    const audits = (direction: Direction) => new AuditForks(direction, family);
    this.#audits = { Ingress: audits("Ingress"), Egress: audits("Egress") };
  }

  of(state: NodeState): Ruleset {
    const last = this.#last;
    const ground = this.#groundOf(state);
    // Most changes are members that come and go, or pods of the other family.
    const ruleset = last !== undefined && isSame(last, ground) && !this.#options.lacks.has("set")
      ? { ...last.ruleset, sets: this.#shelf.filled(new Set(last.ruleset.sets.keys()), state) }
      : this.#lay(state, ground);
    this.#last = { ...ground, ruleset };
    return ruleset;
  }

  #groundOf(state: NodeState): Ground {
    const { pods, policies } = state;
    if (this.#last?.pods === pods) return { ...this.#last, policies };
    return { pods, policies, leaves: this.#leaves.of(state), isolating: pods.values().some(isIsolated) };
  }

  #lay(state: NodeState, { leaves, isolating }: Ground): Ruleset {
    const family = this.#family;
    const options = this.#options;
    const audited = new Set(DIRECTIONS.filter((direction) => leaves.some(({ pod }) => isAudited(pod, direction))));
    const wire = wireGuard(family, options, isolating || options.closedNets.length > 0, DROP_CHAIN);
    const frame: SkeletonPlan = {
      family,
      memory: memoryOf(options),
      nets: localNets(leaves, this.#closed, family),
      cut: options.establishedFlows === "Cut",
      judgeLocal: options.nodeTraffic === "Enforce",
      wire: wire.matches,
      audited,
      logged: options.logDrops === "All" && !options.lacks.has("log") ? options.logPerSecond : 0,
      selves: options.lacks.has("bpf") ? leaves.filter(({ pod }) => isIsolated(pod)).map(({ self }) => self) : [this.#self],
    };
    const chains = new Map<ChainName, readonly Rule[]>(skeleton(frame));
    if (wire.rules.length > 0) chains.set(WIRE_CHAIN, wire.rules);
    const used = new Set<SetName>();
    for (const name of auditSubjects(leaves.map(({ pod }) => pod)).keys()) chains.set(name, recording(name, options));
    const groups = groupLeaves(leaves, family);
    for (const direction of DIRECTIONS) {
      const classes = this.#classes[direction].round(state);
      const forks = [this.#forks[direction].chains(leaves, groups, classes)];
      if (audited.has(direction)) forks.push(this.#audits[direction].chains(groups, classes));
      for (const fork of forks) for (const [name, rules] of fork) chains.set(name, rules);
      for (const { name, rules, sets } of classes.close()) {
        chains.set(name, rules);
        for (const set of sets) used.add(set);
      }
    }
    const sets = this.#shelf.filled(used, state);
    return { family, hooks: hooks(frame), chains: this.#kept(chains), sets: options.lacks.has("set") ? new Map() : sets };
  }

  /** What did not change is the same list as before: whoever compares has nothing to do. */
  #kept(chains: Ruleset["chains"]): Ruleset["chains"] {
    const before = this.#last?.ruleset.chains;
    if (before === undefined) return chains;
    const kept = new Map<ChainName, readonly Rule[]>();
    for (const [name, rules] of chains) {
      const old = before.get(name);
      kept.set(name, old !== undefined && sameElements(old, rules) ? old : rules);
    }
    return kept;
  }
}

/** What the chains of a family depend on, beside its options. */
interface Ground {
  readonly pods: NodeState["pods"];
  readonly policies: NodeState["policies"];
  /** Ascending. */
  readonly leaves: readonly Leaf[];
  /** Whether any pod, of whatever family, is isolated. */
  readonly isolating: boolean;
}

function isSame(a: Ground, b: Ground): boolean {
  return a.policies === b.policies && a.isolating === b.isolating && sameElements(a.leaves, b.leaves);
}

const DIRECTIONS: readonly Direction[] = ["Egress", "Ingress"];

export function isIsolated({ ingress, egress }: LocalPod): boolean {
  return ingress.length + egress.length > 0;
}

/** Networks that hold all the node's pods: those it says are closed, and what covers the addresses outside of them. */
function localNets(leaves: readonly Leaf[], closed: readonly Prefix[], family: Family): readonly string[] {
  const outside = leaves.map(({ value }) => value)
    .filter((value) => !closed.some((net) => contains(net, value, family)));
  const nets = [...closed, ...coveringPrefixes(outside, family)]
    .map((net) => prefixText(fastPrefix(net, family), family));
  return [...new Set(nets)];
}
