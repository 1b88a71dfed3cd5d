/**
 * When the connections of peers that have left are cut: they leave all the time on a busy cluster, and those of a while
 * are cut together. All times are milliseconds of a clock that never goes back.
 */
export class Leavers {
  /** When connections were last judged anew. */
  #cutAt = -Infinity;
  #due: number | undefined;

  /** When those that have left since are to be cut; `undefined` = none have. */
  get due(): number | undefined {
    return this.#due;
  }

  /** @param togetherMs they wait so long at most */
  mayWait(now: number, togetherMs: number): boolean {
    return now - this.#cutAt < togetherMs;
  }

  postponed(togetherMs: number): void {
    this.#due ??= this.#cutAt + togetherMs;
  }

  cut(now: number): void {
    this.#cutAt = now;
    this.#due = undefined;
  }
}
