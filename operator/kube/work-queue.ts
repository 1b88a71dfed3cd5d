import { retryAfterMs } from "./api-error.ts";
import { waitAfter, type Backoff } from "../timing/backoff.ts";
import type { Clock } from "./clock.ts";

/** What a reconcile decides: nothing more to do, or to be called again later. */
export interface Result {
  readonly requeueAfterMs?: number;
}

export interface WorkQueueOptions {
  readonly reconcile: (key: string) => Promise<Result>;
  readonly workers: number;
  readonly backoff: Backoff;
  readonly clock: Clock;
  readonly random: () => number;
  /** A reconcile threw; it is tried again after a backoff. `failures` in a row, from 1. */
  readonly onError: (key: string, error: unknown, failures: number) => void;
  readonly onDone?: (key: string, result: "success" | "requeue" | "error", seconds: number) => void;
}

/** Runs keys: each at most once at a time, never forgotten, however often it is added. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** In the order of arrival; may hold a key that is running: it runs once more afterwards. */
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #later = new Map<string, { readonly at: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  #woken = false;
  #stopped = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#waiting.add(key);
    this.#wake();
  }

  /** One time per key is kept, the earliest: a run then can ask for a later one again. */
  addAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    const at = this.#options.clock.monotonic() + ms;
    const planned = this.#later.get(key);
    if (planned !== undefined && planned.at <= at) return;
    planned?.cancel();
    const cancel = this.#options.clock.after(ms, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { at, cancel });
  }

  /** The next failure of the key counts as its first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Takes nothing more, and resolves when what is running has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { cancel } of this.#later.values()) cancel();
    this.#later.clear();
    this.#waiting.clear();
    await Promise.all(this.#running.values());
  }

  /**
   * Deferred until what has arrived by now is read: a burst of changes is one run, and runs that follow one another
   * leave the process time to answer others.
   */
  #wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    setImmediate(() => {
      this.#woken = false;
      for (const key of this.#waiting) {
        if (this.#running.size >= this.#options.workers) return;
        if (this.#running.has(key)) continue;
        this.#waiting.delete(key);
        this.#running.set(key, this.#run(key));
      }
    });
  }

  async #run(key: string): Promise<void> {
    const { reconcile, clock, random, backoff, onError, onDone } = this.#options;
    const start = clock.monotonic();
    const seconds = (): number => (clock.monotonic() - start) / 1000;
    // A reconcile that throws before its first await must still find itself among the running.
    await undefined;
    try {
      const { requeueAfterMs } = await reconcile(key);
      this.#failures.delete(key);
      if (requeueAfterMs !== undefined) this.addAfter(key, requeueAfterMs);
      onDone?.(key, requeueAfterMs === undefined ? "success" : "requeue", seconds());
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.addAfter(key, Math.max(retryAfterMs(error), waitAfter(failures, backoff, random)));
      onError(key, error, failures);
      onDone?.(key, "error", seconds());
    } finally {
      this.#running.delete(key);
      this.#wake();
    }
  }
}
