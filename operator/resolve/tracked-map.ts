/** A map that can tell what became of it since it was last asked: net, so that a change taken back is none. */
export class TrackedMap<Key, Value> {
  readonly #values = new Map<Key, Value>();
  readonly #same: (a: Value, b: Value) => boolean;
  #before: Map<Key, Value | undefined> | undefined;

  constructor(same: (a: Value, b: Value) => boolean) {
    this.#same = same;
  }

  get values(): ReadonlyMap<Key, Value> {
    return this.#values;
  }

  /** Sets `key`, or removes it where `value` is `undefined`. */
  put(key: Key, value: Value | undefined): void {
    const current = this.#values.get(key);
    if (current === value) return;
    this.#before ??= new Map();
    if (!this.#before.has(key)) this.#before.set(key, current);
    if (value === undefined) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  /** What differs from the last call; `undefined` = gone. */
  takeChanges(): ReadonlyMap<Key, Value | undefined> {
    const before = this.#before;
    if (before === undefined) return NOTHING;
    this.#before = undefined;
    const changes = new Map<Key, Value | undefined>();
    for (const [key, old] of before) {
      const value = this.#values.get(key);
      const same = old === undefined || value === undefined ? old === value : this.#same(old, value);
      if (!same) changes.set(key, value);
    }
    return changes;
  }
}

/** Most nodes have nothing to say about most things: they share one empty map. */
const NOTHING: ReadonlyMap<never, never> = new Map<never, never>();
