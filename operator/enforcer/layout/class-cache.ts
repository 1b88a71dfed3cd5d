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
}

/** The classes of one direction, each made anew only when one of its policies is another object. */
export class ClassCache {
  readonly #direction: Direction;
  readonly #shelf: SetShelf;
  readonly #family: Family;
  readonly #options: LayoutOptions;
  #classes: ReadonlyMap<string, CachedClass> = new Map();
  /** Of the lists of pods, which stay the same from state to state. */
  readonly #keys = new WeakMap<readonly PolicyId[], { readonly end: ChainName; readonly key: string }>();

  constructor(direction: Direction, shelf: SetShelf, family: Family, options: LayoutOptions) {
    this.#direction = direction;
    this.#shelf = shelf;
    this.#family = family;
    this.#options = options;
  }

  round(state: NodeState): ClassRound {
    const before = this.#classes;
    const now = new Map<string, CachedClass>();
    return {
      of: (policies, end) => {
        const key = this.#keyOf(policies, end);
        const known = now.get(key) ?? this.#current(before.get(key), policies, end, state);
        now.set(key, known);
        return known.made.name;
      },
      close: () => {
        this.#classes = now;
        return [...now.values()].map(({ made }) => made);
      },
    };
  }

  #keyOf(policies: readonly PolicyId[], end: ChainName): string {
    const known = this.#keys.get(policies);
    if (known?.end === end) return known.key;
    const key = [end, ...policies].join("\n");
    this.#keys.set(policies, { end, key });
    return key;
  }

  #current(known: CachedClass | undefined, ids: readonly PolicyId[], end: ChainName, state: NodeState): CachedClass {
    const policies = ids.map((id) => state.policies.get(id));
    // Without sets the members are in the lines.
    const reusable = known !== undefined && !this.#options.lacks.has("set");
    if (reusable && policies.every((policy, index) => policy === known.policies[index])) return known;
    const made = policyClass({
      policies: policies.filter((policy) => policy !== undefined),
      direction: this.#direction,
      shelf: this.#shelf,
      family: this.#family,
      end,
      possible: (rules) => this.#possible(rules, state),
    });
    return { policies, made };
  }

  /** What the kernel can do of the lines that allow: it may only leave out or take apart. */
  #possible(rules: readonly Rule[], state: NodeState): readonly Rule[] {
    const { lacks } = this.#options;
    const bare = lacks.has("set") ? withoutSets(rules, this.#shelf.filled(new Set(setsOf(rules)), state), this.#family) : rules;
    // After that: a set may have held SCTP ports.
    return lacks.has("sctp") ? bare.filter((line) => !needsSctp(line)) : bare;
  }
}

interface CachedClass {
  readonly policies: readonly (ResolvedPolicy | undefined)[];
  readonly made: PolicyClass;
}

/** An SCTP port cannot be looked at without the extension: the line would allow more than it should, so it goes. */
function needsSctp({ matches }: Rule): boolean {
  return matches.some((match) => match.kind === "ports" && match.protocol === "SCTP");
}
