import type { NodeState, PolicyId } from "../../api/node-state.ts";
import type { Direction } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import { familyOf } from "./family.ts";
import { Forks } from "./forks.ts";
import { leavesOf } from "./leaf.ts";
import type { Leaf } from "./leaf.ts";
import type { LayoutOptions } from "./options.ts";
import { DEFAULT_OPTIONS, memoryOf } from "./options.ts";
import type { PolicyClass } from "./policy-class.ts";
import { policyClass } from "./policy-class.ts";
import type { Prefix } from "./prefix.ts";
import { contains, coveringPrefixes, parsePrefix, prefixText } from "./prefix.ts";
import type { ChainName, Rule } from "./rule.ts";
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
  const shelf = new SetShelf(state, family);
  const leaves = leavesOf(state, family);
  const closed = options.closedNets.filter((net) => familyOf(net) === family).map((net) => parsePrefix(net, family));
  const anyIsolated = state.pods.values().some(({ ingress, egress }) => ingress.length + egress.length > 0);
  const wire = wireGuard(family, options, anyIsolated);
  const judgeLocal = options.nodeTraffic === "Enforce";
  const chains = new Map<ChainName, readonly Rule[]>(
    skeleton({
      family,
      memory: memoryOf(options),
      nets: localNets(leaves, closed, family),
      cut: options.establishedFlows === "Cut",
      judgeLocal,
      wire: wire.matches,
    }),
  );
  if (wire.rules.length > 0) chains.set(WIRE_CHAIN, wire.rules);
  for (const direction of ["Egress", "Ingress"] as const) {
    const classes = new Classes(state, direction, shelf, family, options);
    const forks = new Forks(direction, family, closed);
    for (const [name, rules] of forks.chains(leaves, (policies) => classes.of(policies))) chains.set(name, rules);
    for (const { name, rules } of classes.all()) chains.set(name, rules);
  }
  const hooks = new Map<HookPoint, ChainName>([["FORWARD", FORWARD_CHAIN]]);
  if (judgeLocal) hooks.set("INPUT", LOCAL_CHAIN);
  return { family, hooks, chains, sets: options.lacks.has("set") ? new Map() : shelf.sets };
}

/** The classes of one direction, each made once. */
class Classes {
  readonly #classes = new Map<string, PolicyClass>();
  readonly #state: NodeState;
  readonly #direction: Direction;
  readonly #shelf: SetShelf;
  readonly #family: Family;
  readonly #options: LayoutOptions;

  constructor(state: NodeState, direction: Direction, shelf: SetShelf, family: Family, options: LayoutOptions) {
    this.#state = state;
    this.#direction = direction;
    this.#shelf = shelf;
    this.#family = family;
    this.#options = options;
  }

  of(policies: readonly PolicyId[]): ChainName {
    const key = policies.join("\n");
    const known = this.#classes.get(key);
    if (known !== undefined) return known.name;
    const made = policyClass(policies, this.#direction, this.#state, this.#shelf, this.#family, (rules) => {
      const possible = this.#options.lacks.has("sctp") ? rules.filter((line) => !needsSctp(line)) : rules;
      return this.#options.lacks.has("set") ? withoutSets(possible, this.#shelf.sets, this.#family) : possible;
    });
    this.#classes.set(key, made);
    return made.name;
  }

  all(): Iterable<PolicyClass> {
    return this.#classes.values();
  }
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
