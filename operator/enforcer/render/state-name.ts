import { createHash } from "node:crypto";
import type { Ruleset } from "../layout/ruleset.ts";

/** Stands in the kernel while what it holds has no name yet; equal to no state's. */
export const UNNAMED = "unnamed";

/**
 * Names all of a ruleset's content, members too. The kernel's generation rule carries it: an enforcer that starts and
 * finds everything in place still has to know whether the one before it lived to write the generation.
 */
export class StateNames {
  /** Most sets are the same objects from one state to the next, and sorting a large one takes milliseconds. */
  readonly #digests = new WeakMap<ReadonlySet<string>, string>();

  nameOf({ chains, sets }: Ruleset): string {
    const lines = [...chains].map(([name, rules]) => `${name} ${JSON.stringify(rules)}`);
    const members = [...sets].map(([name, set]) => `${name} ${this.#digestOf(set.members)}`);
    return digest([...lines, ...members]);
  }

  #digestOf(members: ReadonlySet<string>): string {
    const known = this.#digests.get(members) ?? digest(members);
    this.#digests.set(members, known);
    return known;
  }
}

/** Independent of the order. */
function digest(lines: Iterable<string>): string {
  return createHash("sha256").update([...lines].toSorted().join("\n")).digest("hex").slice(0, 16);
}
