import type { Clock } from "./clock.ts";

/** Lets one loop sleep until a time is over or somebody has work for it. A call before the sleep is not lost. */
export class WakeUp {
  #called = false;
  #ring: (() => void) | undefined;

  call(): void {
    this.#called = true;
    this.#ring?.();
  }

  /** @param ms `Infinity` = only a call, or the signal, ends it. */
  async sleep(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    const rung = new AbortController();
    this.#ring = () => rung.abort();
    if (!this.#called) {
      // The longest time that a timer takes: 24 days.
      await clock.sleep(Math.min(ms, 0x7fffffff), AbortSignal.any([signal, rung.signal]));
    }
    this.#ring = undefined;
    this.#called = false;
  }
}
