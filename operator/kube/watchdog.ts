import type { Clock } from "./clock.ts";

/** Aborts its signal once nothing has been heard for `silenceMs`. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #silenceMs: number;
  readonly #controller = new AbortController();
  #heardAt: number;
  #cancel: () => void;

  constructor(clock: Clock, silenceMs: number) {
    this.#clock = clock;
    this.#silenceMs = silenceMs;
    this.#heardAt = clock.monotonic();
    this.#cancel = clock.after(silenceMs, () => this.#look());
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Cheap: no timer is set anew for each of thousands of events a second. */
  heard(): void {
    this.#heardAt = this.#clock.monotonic();
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    const left = this.#heardAt + this.#silenceMs - this.#clock.monotonic();
    if (left > 0) this.#cancel = this.#clock.after(left, () => this.#look());
    else this.#controller.abort(new Error(`silent for ${Math.round(this.#silenceMs / 1000)} s`));
  }
}
