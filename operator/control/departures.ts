/** Older rules are waited for this long; then what is there counts, as it would after a restart. */
const LONGEST_MS = 10_000;

/**
 * SegmentPolicies whose NetworkPolicies count no more while they are taken away, object by object: those that are
 * deleted, or in mode Audit. When one comes back, what is left of it may be older rules, and would cut for a moment
 * what is allowed before and after. So it counts again only when nothing of that kind is left.
 */
export class Departures {
  readonly #monotonic: () => number;
  /** Since when it is back and waits; `undefined` = it is away. */
  readonly #returns = new Map<string, number | undefined>();

  /** @param monotonic milliseconds that never go back */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  leave(name: string): void {
    this.#returns.set(name, undefined);
  }

  /** Nothing is left that could count. */
  end(name: string): void {
    this.#returns.delete(name);
  }

  /**
   * It is wanted again. `outdated`: whether objects are left that are not as they should be.
   * @returns milliseconds for which it still does not count; 0 = it counts
   */
  comeBack(name: string, outdated: () => boolean): number {
    if (!this.#returns.has(name)) return 0;
    const now = this.#monotonic();
    const since = this.#returns.get(name) ?? now;
    const left = since + LONGEST_MS - now;
    if (left > 0 && outdated()) {
      this.#returns.set(name, since);
      return left;
    }
    this.#returns.delete(name);
    return 0;
  }
}
