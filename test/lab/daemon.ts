import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { Hopeless, tail } from "./wait.ts";

export interface DaemonOptions {
  /** File for both outputs. */
  readonly log: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** A component that runs until it is stopped, with a log in a file. */
export class Daemon {
  readonly name: string;
  readonly log: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #failure: Error | undefined;

  private constructor(name: string, log: string, child: ChildProcess) {
    this.name = name;
    this.log = log;
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#failure = error;
        resolve();
      });
      child.once("exit", () => resolve());
    });
  }

  /** @param argv the program and its arguments. */
  static start(name: string, argv: readonly string[], options: DaemonOptions): Daemon {
    const [program = "", ...args] = argv;
    const file = openSync(options.log, "a");
    try {
      // A group of its own: Ctrl-C at the terminal must reach the owner only, which then stops things in order.
      const child = spawn(program, args, {
        stdio: ["ignore", file, file], detached: true, ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        env: { PATH: process.env["PATH"], ...options.env },
      });
      child.unref();
      return new Daemon(name, options.log, child);
    } finally {
      closeSync(file);
    }
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** @throws Hopeless if it has ended, with the tail of its log. */
  assertRunning(): void {
    if (this.#failure !== undefined) throw new Hopeless(`${this.name}: ${this.#failure.message}`);
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    throw new Hopeless(`${this.name} ended with ${signalCode ?? exitCode}${tail(this.log)}`);
  }

  /** At once, without waiting: for the owner's own last moment. */
  kill(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
  }

  /** SIGTERM, then SIGKILL after `graceMs`. */
  async stop(graceMs = 2000): Promise<void> {
    if (this.#failure !== undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGTERM");
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    await this.#ended;
    clearTimeout(killer);
  }
}
