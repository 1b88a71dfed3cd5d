import { setTimeout as sleep } from "node:timers/promises";

/** Time, as the agent's loops need it. */
export interface Clock {
  /** Milliseconds; never goes back. */
  monotonic(): number;
  /** The wall clock, RFC 3339 with seconds. */
  timestamp(): string;
  /** Ends early, without an error, when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const SYSTEM_CLOCK: Clock = {
  monotonic: () => performance.now(),
  timestamp: () => `${new Date().toISOString().slice(0, 19)}Z`,
  async sleep(ms, signal) {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  },
};
