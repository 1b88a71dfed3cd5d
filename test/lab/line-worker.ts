import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";

/** A child that answers orders: one JSON object a line each way. It ends when its input does, so also with its parent. */
export class LineWorker {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ended: Promise<void>;
  #orders = 0;
  #over = false;

  constructor(argv: readonly string[], env: Readonly<Record<string, string>>) {
    const [program = "", ...args] = argv;
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...env } });
    this.#child.stdin.on("error", () => { /* `close` tells every waiting order. */ });
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", () => resolve());
      this.#child.once("close", () => resolve());
    });
    void this.#ended.then(() => {
      this.#over = true;
      for (const { reject } of this.#waiting.values()) reject(new Error(`${argv.join(" ")} has ended`));
      this.#waiting.clear();
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#answer(line));
  }

  get pid(): number | undefined {
    return this.#over ? undefined : this.#child.pid;
  }

  /** When it has ended, however it did. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** @throws Error with the worker's own words */
  order(order: object): Promise<unknown> {
    if (this.#over) return Promise.reject(new Error("the worker has ended"));
    const id = (this.#orders += 1);
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#child.stdin.write(`${JSON.stringify({ id, ...order })}\n`);
    return answer.promise;
  }

  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.#over) return;
    this.#child.kill(signal);
    await this.#ended;
  }

  #answer(line: string): void {
    const { id, outcome, failure } = JSON.parse(line) as { id: number; outcome?: unknown; failure?: string };
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (failure === undefined) waiting?.resolve(outcome);
    else waiting?.reject(new Error(failure));
  }
}
