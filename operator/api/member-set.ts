/** The members of a set, in no order. A `Set` is one; whoever made it leaves it as it is. */
export interface Members extends Iterable<string> {
  readonly size: number;
  has(member: string): boolean;
}

export interface MemberChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Up to here a copy costs less than to remember what is different. */
const SMALL = 256;

/**
 * The members of `before` but for those that come and go. A large set is not copied: what it is made into shares its
 * members, so a change costs what changes and not what there is.
 * @param remove members of `before` @param add none of which is a member
 */
export function changedMembers(before: Members, add: Iterable<string>, remove: Iterable<string>): Members {
  if (before.size >= SMALL) return layer(before, add, remove);
  const members = new Set(before);
  for (const member of remove) members.delete(member);
  for (const member of add) members.add(member);
  return members;
}

/** What makes `from` into `to`. Sets that were made of each other are compared by what is different. */
export function changesBetween(from: Members, to: Members): MemberChanges {
  if (from === to) return NO_CHANGES;
  const [{ base, different }, other] = [layersOf(from), layersOf(to)];
  if (base !== other.base) return { added: without(to, from), removed: without(from, to) };
  // In what both differ from the base they are alike.
  const candidates = [...different.symmetricDifference(other.different)];
  return {
    added: candidates.filter((member) => to.has(member)),
    removed: candidates.filter((member) => from.has(member)),
  };
}

const NO_CHANGES: MemberChanges = { added: [], removed: [] };

/** A large set and the few members in which another one is different from it. */
class LayeredSet implements Members {
  readonly base: Members;
  readonly different: ReadonlySet<string>;
  readonly size: number;

  constructor(base: Members, different: ReadonlySet<string>, size: number) {
    this.base = base;
    this.different = different;
    this.size = size;
  }

  has(member: string): boolean {
    return this.base.has(member) !== this.different.has(member);
  }

  *[Symbol.iterator](): Iterator<string> {
    for (const member of this.base) if (!this.different.has(member)) yield member;
    for (const member of this.different) if (!this.base.has(member)) yield member;
  }
}

function layer(before: Members, add: Iterable<string>, remove: Iterable<string>): Members {
  const { base, different: old } = layersOf(before);
  const different = new Set(old);
  let { size } = before;
  const toggle = (member: string, by: 1 | -1): void => {
    if (!different.delete(member)) different.add(member);
    size += by;
  };
  for (const member of remove) toggle(member, -1);
  for (const member of add) toggle(member, 1);
  const made = new LayeredSet(base, different, size);
  // Each change copies what is different: where that has cost as much as a copy of all, all is copied.
  return different.size ** 2 > MOST_COPIED * base.size ? new Set(made) : made;
}

const MOST_COPIED = 2;

/** What large sets share, and the members in which one differs: those that `base` has are none of the set's. */
export function layersOf(members: Members): { readonly base: Members; readonly different: ReadonlySet<string> } {
  return members instanceof LayeredSet ? members : { base: members, different: NONE };
}

const NONE: ReadonlySet<string> = new Set();

function without(members: Members, others: Members): readonly string[] {
  return [...members].filter((member) => !others.has(member));
}
