import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../../../operator/kube/clock.ts";

const TURNS = 4;

interface Timer {
  readonly at: number;
  readonly task: () => void;
}

/** A clock that moves only when told. */
export class VirtualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now = 0;

  monotonic(): number {
    return this.#now;
  }

  wall(): Date {
    return new Date(Date.UTC(2030, 0, 1) + this.#now);
  }

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#now + ms, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Timers that still wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Runs what falls due within `ms`, each at its own time, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.task();
    }
    this.#now = end;
    await settled();
  }
}

/** What was to happen has happened, and what that has asked for in the same turn or the next. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < TURNS; turns += 1) await turn();
}
