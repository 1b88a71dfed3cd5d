import type { Members } from "../../api/member-set.ts";
import { changedMembers, changesBetween } from "../../api/member-set.ts";
import type { NodeState, PeerSetId } from "../../api/node-state.ts";
import type { Family } from "./family.ts";
import { familyOf } from "./family.ts";

/**
 * The members of one family of some peer sets together, for one state after the other. A change costs what changes: the
 * sets can be large, and peers come and go all the time.
 */
export class Union {
  readonly #ids: readonly PeerSetId[];
  readonly #family: Family;
  #sources: readonly Members[] = [];
  #members: Members = NONE;

  constructor(ids: readonly PeerSetId[], family: Family) {
    this.#ids = ids;
    this.#family = family;
    this.#sources = ids.map(() => NONE);
  }

  /** The same object as before if they are the same members. */
  of({ peers }: NodeState): Members {
    const before = this.#sources;
    const sources = this.#ids.map((id) => peers.get(id)?.members ?? NONE);
    const added = new Set<string>();
    const removed = new Set<string>();
    for (const [index, source] of sources.entries()) {
      const changes = changesBetween(before[index] ?? NONE, source);
      for (const member of changes.added) if (this.#concerns(member) && !this.#members.has(member)) added.add(member);
      for (const member of changes.removed) {
        if (this.#concerns(member) && !sources.some((each) => each.has(member))) removed.add(member);
      }
    }
    this.#sources = sources;
    if (added.size + removed.size === 0) return this.#members;
    const [only] = sources;
    // One set of one family, which most are, is passed on as it is.
    const whole = sources.length === 1 && only?.size === this.#members.size + added.size - removed.size;
    this.#members = whole ? only : changedMembers(this.#members, added, removed);
    return this.#members;
  }

  #concerns(member: string): boolean {
    return familyOf(member) === this.#family;
  }
}

const NONE: Members = new Set();
