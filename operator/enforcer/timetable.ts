import type { Backoff } from "../timing/backoff.ts";
import { waitAfter } from "../timing/backoff.ts";

/** What an agent does next: bring about what is wanted, look whether it is still there, tidy up, or nothing for now. */
export type Turn = "state" | "check" | "sweep" | "nothing";

/** What the agent has to say to it. */
export interface Situation {
  /** Something else is wanted than what is in force. */
  readonly news: boolean;
  /** A look at what is in force makes sense: nothing else is half-way there. */
  readonly settled: boolean;
}

export interface TimetableOptions {
  /** Quiet time after a change before what it has left is swept up. Milliseconds. */
  readonly sweepAfterMs: number;
  readonly random: () => number;
}

/** However many states come, what the first has left waits no longer. Milliseconds. */
const SWEEP_BEFORE_MS = 2_000;
const RETRY: Backoff = { firstMs: 100, mostMs: 5_000 };

/**
 * Whose turn it is. States come first, but they may come without a pause: what is due by then comes between two of them.
 * When the next check is depends on checks alone. All times are milliseconds of a clock that never goes back.
 */
export class Timetable {
  readonly #options: TimetableOptions;
  #last: Turn = "nothing";
  #checkAt = Infinity;
  #sweepAt = Infinity;
  #sweepBy = Infinity;
  #leaversAt = Infinity;
  /** After a failure: what comes meanwhile is tried at once, since it may be just what helps. */
  #retryAt = -Infinity;
  #failures = 0;
  #failedChecks = 0;

  constructor(options: TimetableOptions) {
    this.#options = options;
  }

  /** The caller takes it. */
  turn(now: number, { news, settled }: Situation): Turn {
    const check = settled && now >= this.#checkAt;
    const sweep = settled && now >= Math.min(this.#sweepAt, this.#sweepBy);
    const state = (news || now >= this.#leaversAt) && now >= this.#retryAt;
    const waits = this.#last === "state" && (check || (sweep && now >= this.#sweepBy));
    this.#last = state && !waits ? "state" : check ? "check" : sweep ? "sweep" : "nothing";
    return this.#last;
  }

  /** When there will be something to do if nothing happens until then; `Infinity` = never. */
  next({ news, settled }: Situation): number {
    const state = news ? this.#retryAt : Math.max(this.#leaversAt, this.#retryAt);
    return Math.min(state, settled ? Math.min(this.#checkAt, this.#sweepAt, this.#sweepBy) : Infinity);
  }

  /** Another state is wanted. */
  arrived(): void {
    this.#retryAt = -Infinity;
  }

  /** From now on there is something to look at, every `periodMs`. */
  watch(now: number, periodMs: number): void {
    this.#checkAt = Math.min(this.#checkAt, now + periodMs);
  }

  /** @param leaversAt when it wants to be its turn again, to cut the connections of peers that have left */
  changed(now: number, leaversAt = Infinity): void {
    this.#failures = 0;
    this.#leaversAt = leaversAt;
    this.#sweepBy = Math.min(this.#sweepBy, now + SWEEP_BEFORE_MS);
    this.#sweepAt = now + this.#options.sweepAfterMs;
  }

  /** Periods count from the start of one to the start of the next, but it rests for as long as it has taken. */
  checked(start: number, now: number, periodMs: number, leaversAt = Infinity): void {
    this.#failedChecks = 0;
    this.#leaversAt = leaversAt;
    this.#checkAt = Math.max(start + periodMs, now + (now - start));
    this.#sweepBy = Math.min(this.#sweepBy, now + SWEEP_BEFORE_MS);
    this.#sweepAt = now;
  }

  swept(): void {
    this.#sweepAt = Infinity;
    this.#sweepBy = Infinity;
  }

  failed(now: number, turn: Turn): void {
    if (turn === "state") {
      this.#failures += 1;
      this.#retryAt = now + waitAfter(this.#failures, RETRY, this.#options.random);
    } else {
      this.#failedChecks += 1;
      this.#checkAt = now + waitAfter(this.#failedChecks, RETRY, this.#options.random);
    }
  }

  /** There is nothing left to look at. */
  stop(): void {
    this.#checkAt = Infinity;
    this.#leaversAt = Infinity;
    this.swept();
  }
}
