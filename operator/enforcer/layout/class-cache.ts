import type { NodeState, PolicyId, ResolvedPolicy } from "../../api/node-state.ts";
import type { Direction } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import type { LayoutOptions } from "./options.ts";
import type { PolicyClass } from "./policy-class.ts";
import { policyClass } from "./policy-class.ts";
import type { ChainName, Rule } from "./rule.ts";
import { setsOf } from "./rule.ts";
import { withoutSets } from "./set-free.ts";
import type { SetShelf } from "./set-shelf.ts";

/** The classes of one state while it is laid out. */
export interface ClassRound {
  /** The chain of the class of these policies, which goes to `end` with what none of them allows. */
  of(policies: readonly PolicyId[], end: ChainName): ChainName;
  /** All that were asked for; the others are forgotten. */
  close(): readonly PolicyClass[];
  /** A list of policies that was asked for in the last round has the same class as then. */
  readonly unchanged: boolean;
}

/** The classes of one direction, each made anew only when one of its policies is another object. */
export class ClassCache {
  readonly #direction: Direction;
  readonly #shelf: SetShelf;
  readonly #family: Family;
  readonly #options: LayoutOptions;
  #last: Round = EMPTY_ROUND;

  constructor(direction: Direction, shelf: SetShelf, family: Family, options: LayoutOptions) {
    this.#direction = direction;
    this.#shelf = shelf;
    this.#family = family;
    this.#options = options;
  }

  round(state: NodeState): ClassRound {
    const last = this.#last;
    // Without sets the members are in the lines.
    const reusable = !this.#options.lacks.has("set");
    const unchanged = reusable && state.policies === last.policies;
    const now = new Map<readonly PolicyId[], CachedClass>();
    const made = new Map<string, CachedClass>();
    const used = new Set<CachedClass>();
    const find = (policies: readonly PolicyId[], end: ChainName): CachedClass => {
      const known = now.get(policies) ?? (unchanged ? last.byList.get(policies) : undefined);
      if (known?.end === end) return known;
      const key = [end, ...policies].join("\n");
      const found = made.get(key) ?? this.#current(reusable ? last.byKey.get(key) : undefined, { key, end, policies }, state);
      made.set(key, found);
      return found;
    };
    return {
      unchanged,
      of: (policies, end) => {
        const found = find(policies, end);
        now.set(policies, found);
        used.add(found);
        return found.made.name;
      },
      close: () => {
        // What is not in use has lost its sets.
        const same = made.size === 0 && used.size === last.byKey.size;
        const byKey = same ? last.byKey : new Map([...used].map((each) => [each.key, each]));
        this.#last = { policies: state.policies, byList: now, byKey };
        return [...used].map((each) => each.made);
      },
    };
  }

  #current(
    known: CachedClass | undefined,
    { key, end, policies: ids }: { readonly key: string; readonly end: ChainName; readonly policies: readonly PolicyId[] },
    state: NodeState,
  ): CachedClass {
    const policies = ids.map((id) => state.policies.get(id));
    if (known !== undefined && policies.every((policy, index) => policy === known.policies[index])) return known;
    const made = policyClass({
      policies: policies.filter((policy) => policy !== undefined),
      direction: this.#direction,
      shelf: this.#shelf,
      family: this.#family,
      end,
      possible: (rules) => this.#possible(rules, state),
    });
    return { key, end, policies, made };
  }

  /** What the kernel can do of the lines that allow: it may only leave out or take apart. */
  #possible(rules: readonly Rule[], state: NodeState): readonly Rule[] {
    const { lacks } = this.#options;
    const bare = lacks.has("set") ? withoutSets(rules, this.#shelf.filled(new Set(setsOf(rules)), state), this.#family) : rules;
    // After that: a set may have held SCTP ports.
    return lacks.has("sctp") ? bare.filter((line) => !needsSctp(line)) : bare;
  }
}

/** What was asked for with one state. */
interface Round {
  readonly policies: NodeState["policies"] | undefined;
  /** By the list itself: pods keep theirs from state to state. */
  readonly byList: ReadonlyMap<readonly PolicyId[], CachedClass>;
  readonly byKey: ReadonlyMap<string, CachedClass>;
}

const EMPTY_ROUND: Round = { policies: undefined, byList: new Map(), byKey: new Map() };

interface CachedClass {
  /** Says of which policies it is, and its end. */
  readonly key: string;
  readonly end: ChainName;
  readonly policies: readonly (ResolvedPolicy | undefined)[];
  readonly made: PolicyClass;
}

/** An SCTP port cannot be looked at without the extension: the line would allow more than it should, so it goes. */
function needsSctp({ matches }: Rule): boolean {
  return matches.some((match) => match.kind === "ports" && match.protocol === "SCTP");
}
