import { hash } from "node:crypto";
import type { Members } from "../../api/member-set.ts";
import { layersOf } from "../../api/member-set.ts";
import type { Rule } from "../layout/rule.ts";
import type { Ruleset } from "../layout/ruleset.ts";

/** Stands in the kernel while what it holds has no name yet; equal to no state's. */
export const UNNAMED = "unnamed";

/**
 * Names all of a ruleset's content, members too. The kernel's generation rule carries it: an enforcer that starts and
 * finds everything in place still has to know whether the one before it lived to write the generation.
 */
export class StateNames {
  /** Large sets are made of each other: what they share is looked at once. */
  readonly #sums = new WeakMap<Members, Sum>();
  /** Most chains stay as they are from one state to the next. */
  readonly #digests = new WeakMap<readonly Rule[], string>();

  nameOf({ chains, sets }: Ruleset): string {
    const lines = [...chains].map(([name, rules]) => `${name} ${this.#digestOf(rules)}`);
    const members = [...sets].map(([name, set]) => `${name} ${this.#sumOf(set.members).join(" ")}`);
    return digest([...lines, ...members].toSorted().join("\n"));
  }

  #digestOf(rules: readonly Rule[]): string {
    const known = this.#digests.get(rules) ?? digest(JSON.stringify(rules));
    this.#digests.set(rules, known);
    return known;
  }

  #sumOf(members: Members): Sum {
    const { base, different } = layersOf(members);
    const known = this.#sums.get(base) ?? added(ZERO, base);
    this.#sums.set(base, known);
    // What is added twice is gone again.
    return added(known, different);
  }
}

function digest(text: string): string {
  return hash("sha256", text).slice(0, 16);
}

/** Of all members, in no order. It tells states of one node apart, and need not withstand who wants two to be alike. */
type Sum = readonly [number, number];

const ZERO: Sum = [0, 0];

/** A few nanoseconds for each character: cryptographic hashes take microseconds for each member. */
function added([high, low]: Sum, members: Iterable<string>): Sum {
  for (const member of members) {
    let [a, b] = [0x811c9dc5, 0x9e3779b9];
    for (let index = 0; index < member.length; index += 1) {
      const code = member.charCodeAt(index);
      a = Math.imul(a ^ code, 0x01000193);
      b = Math.imul(b ^ code, 0x85ebca6b) + a;
    }
    high ^= mixed(a);
    low ^= mixed(b);
  }
  return [high >>> 0, low >>> 0];
}

/** Every bit of the result depends on all bits: members that differ in a digit alone would else cancel each other out. */
function mixed(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
