import { NoAnswer } from "./netfilter.ts";
import type { Ran } from "./shell.ts";
import { Shell } from "./shell.ts";

/** A check, and what connection tracking is asked beside it. */
const KEPT = 2;

/** Shells that are kept running. Nobody waits for what somebody else asks: there are as many as are asked at once. */
export class Shells {
  readonly #idle: Shell[] = [];
  readonly #busy = new Set<Shell>();

  /** @throws NoAnswer if the script does not come to its end; nothing of it runs any more then */
  async run(script: string, signal: AbortSignal, timeoutMs: number): Promise<Ran> {
    if (signal.aborted) throw new NoAnswer(`${script}: was told to stop`);
    const shell = this.#free();
    this.#busy.add(shell);
    try {
      return await shell.run(script, signal, timeoutMs);
    } finally {
      this.#busy.delete(shell);
      if (this.#idle.length < KEPT && shell.usable) this.#idle.push(shell);
      else shell.close();
    }
  }

  /** Ends all of them, with what runs in them. They can be used again. */
  close(): void {
    for (const shell of [...this.#idle.splice(0), ...this.#busy]) shell.close();
  }

  #free(): Shell {
    for (let shell = this.#idle.pop(); shell !== undefined; shell = this.#idle.pop()) {
      if (shell.usable) return shell;
    }
    return new Shell();
  }
}
