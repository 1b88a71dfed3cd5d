/** So many a second and no more; what was not used in a second is lost. */
export class Allowance {
  readonly #monotonic: () => number;
  #left = 0;
  #until = -Infinity;

  /** @param monotonic milliseconds that never go back */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Whether one more fits into this second. */
  take(perSecond: number): boolean {
    const now = this.#monotonic();
    if (now >= this.#until) {
      this.#until = now + 1_000;
      this.#left = perSecond;
    }
    this.#left -= 1;
    return this.#left >= 0;
  }
}
