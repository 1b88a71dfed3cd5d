import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

/** A tool that has ended, hangs, or was never there: what it was last told may or may not have happened. */
export class ChannelBroken extends Error {
  override readonly name = "ChannelBroken";
  /** It has ended by itself, or not even begun: what it was told after its last output has not happened. */
  readonly refused: boolean;
  /** What it had printed of its answer. */
  readonly output: string;

  constructor(message: string, refused: boolean, output: string) {
    super(message);
    this.refused = refused;
    this.output = output;
  }
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
  readonly #most: number;
  #child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  #output = "";
  #errors = "";
  /** How the last one ended, see `ChannelBroken`. */
  #refused = false;
  #look: () => void = () => undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * @param command program and arguments; it starts with the first request
   * @param most characters of an answer
   */
  constructor(command: readonly [string, ...string[]], most = MOST_OUTPUT) {
    this.#command = command;
    this.#most = most;
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
    const before = this.#child;
    const child = this.#running();
    const fresh = child !== before;
    this.#output = "";
    this.#errors = "";
    const broken = Promise.withResolvers<never>();
    const fail = (why: string, refused = false): void => {
      const message = `${this.#command.join(" ")}: ${this.#errors.trim() || why}`;
      broken.reject(new ChannelBroken(message, refused, this.#output));
    };
    const stop = (): void => fail("was told to stop");
    const timer = setTimeout(() => fail(`did not end within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    try {
      return await Promise.race([
        broken.promise,
        new Promise<string>((resolve) => {
          this.#look = () => {
            if (answered(this.#output, fresh)) resolve(this.#output);
            else if (this.#child === undefined) fail("it has ended", this.#refused);
            else if (this.#output.length > this.#most) fail("it does not stop talking");
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
    // One that has just ended may not have told it yet.
    if (this.#child?.exitCode === null && this.#child.signalCode === null) return this.#child;
    const [program, ...args] = this.#command;
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    child.stdout.on("data", (chunk: Buffer) => this.#heard(child, () => (this.#output += chunk.toString())));
    child.stderr.on("data", (chunk: Buffer) => this.#heard(child, () => (this.#errors += chunk.toString())));
    // A tool that stops reading shows in its end; the broken pipe itself says nothing more.
    child.stdin.on("error", () => undefined);
    child.once("error", ({ message }) => this.#ended(child, message, child.pid === undefined));
    child.once("close", (status) => this.#ended(child, "", status !== null && status !== 0));
    // The enforcer ends without waiting for its tools: they end with their input.
    child.unref();
    return child;
  }

  #heard(child: ChildProcessByStdio<Writable, Readable, Readable>, take: () => void): void {
    if (child !== this.#child) return;
    take();
    this.#look();
  }

  #ended(child: ChildProcessByStdio<Writable, Readable, Readable>, why: string, refused: boolean): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#refused = refused;
    this.#errors += why;
    this.#look();
  }
}
