import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

/** A tool that has ended, hangs, or was never there: what it was last told may or may not have happened. */
export class ChannelBroken extends Error {
  override readonly name = "ChannelBroken";
}

/** Kernel tools answer in milliseconds; one that waits longer hangs, or somebody holds a lock for ever. */
const TIMEOUT_MS = 10_000;
/** What a tool that does not stop talking has said so far is of no use. */
const MOST_OUTPUT = 1 << 20;

/**
 * A tool of the kernel's firewall that is kept running and takes one request after the other: starting one costs more
 * than most requests. A request that fails breaks the channel; a new one is started for the next.
 */
export class Channel {
  readonly #command: readonly [string, ...string[]];
  #child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  #output = "";
  #errors = "";
  #look: () => void = () => undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** @param command program and arguments; it starts with the first request */
  constructor(command: readonly [string, ...string[]]) {
    this.#command = command;
  }

  /**
   * Sends `input` and waits until `answered` finds the answer in what the tool has printed since. Requests that come at
   * the same time wait for each other.
   * @param answered is told too whether the tool was started for this request
   * @returns what it printed, with both outputs where the tool joins them
   * @throws ChannelBroken with the tool's words
   */
  request(input: string, answered: (output: string, fresh: boolean) => boolean, signal: AbortSignal): Promise<string> {
    const turn = this.#turn.then(() => this.#ask(input, answered, signal));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #ask(
    input: string,
    answered: (output: string, fresh: boolean) => boolean,
    signal: AbortSignal,
  ): Promise<string> {
    const fresh = this.#child === undefined;
    const child = this.#running();
    this.#output = "";
    this.#errors = "";
    const broken = Promise.withResolvers<never>();
    const fail = (why: string): void => {
      broken.reject(new ChannelBroken(`${this.#command.join(" ")}: ${this.#errors.trim() || why}`));
    };
    const stop = (): void => fail("was told to stop");
    const timer = setTimeout(() => fail(`did not answer within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    try {
      return await Promise.race([
        broken.promise,
        new Promise<string>((resolve) => {
          this.#look = () => {
            if (answered(this.#output, fresh)) resolve(this.#output);
            else if (this.#child === undefined) fail("it has ended");
            else if (this.#output.length > MOST_OUTPUT) fail("it does not stop talking");
          };
          child.stdin.write(input);
        }),
      ]);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#look = () => undefined;
    }
  }

  close(): void {
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
  }

  #running(): ChildProcessByStdio<Writable, Readable, Readable> {
    if (this.#child !== undefined) return this.#child;
    const [program, ...args] = this.#command;
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    child.stdout.on("data", (chunk: Buffer) => this.#heard(child, () => (this.#output += chunk.toString())));
    child.stderr.on("data", (chunk: Buffer) => this.#heard(child, () => (this.#errors += chunk.toString())));
    // A tool that stops reading shows in its end; the broken pipe itself says nothing more.
    child.stdin.on("error", () => undefined);
    child.once("error", ({ message }) => this.#ended(child, message));
    child.once("close", () => this.#ended(child, ""));
    // The enforcer ends without waiting for its tools: they end with their input.
    child.unref();
    return child;
  }

  #heard(child: ChildProcessByStdio<Writable, Readable, Readable>, take: () => void): void {
    if (child !== this.#child) return;
    take();
    this.#look();
  }

  #ended(child: ChildProcessByStdio<Writable, Readable, Readable>, why: string): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#errors += why;
    this.#look();
  }
}
