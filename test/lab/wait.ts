import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly everyMs?: number;
  /** A log whose tail explains a failure. */
  readonly log?: string;
}

/**
 * Polls until `probe` gives something other than `undefined`; an error it throws is "not yet".
 * @throws after `timeoutMs`, with the last error and the tail of the log.
 */
export async function waitFor<Value>(
  what: string, probe: () => Promise<Value | undefined> | Value | undefined, options: WaitOptions,
): Promise<Value> {
  const deadline = performance.now() + options.timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
      last = undefined;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (performance.now() > deadline) {
      const reason = last instanceof Error ? `: ${last.message}` : "";
      throw new Error(`${what} did not happen within ${options.timeoutMs} ms${reason}${tail(options.log)}`, {
        cause: last,
      });
    }
    await sleep(options.everyMs ?? 50);
  }
}

/** Thrown by a probe when waiting longer cannot help. */
export class Hopeless extends Error {}

/** The last lines of a log, ready to be appended to a message; empty if there is none. */
export function tail(path: string | undefined): string {
  if (path === undefined) return "";
  try {
    return `\n--- ${path}\n${readFileSync(path, "utf8").slice(-3000)}`;
  } catch {
    return `\n--- ${path}: no such log`;
  }
}
