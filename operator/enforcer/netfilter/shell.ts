import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { NoAnswer } from "./netfilter.ts";

/** What a script has printed, and the status of its last command. */
export interface Ran {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** What all tables of a busy node print stays far below. Bytes. */
const MOST_OUTPUT = 1 << 28;
/** Each piece that a tool prints wakes us up: they are to be large. Where there is no stdbuf it goes without. */
const START = "command -v stdbuf >/dev/null && exec stdbuf -o256K /bin/sh; exec /bin/sh";

/**
 * A shell that is kept running, for what is asked of the tools: to start a process from one as large as ours costs as
 * much as they do, and holds up everything else meanwhile. One script at a time; one that does not end as it should
 * ends the shell.
 */
export class Shell {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<void>;
  #usable = true;
  #scripts = 0;
  #stdout = new Printed("");
  #stderr = new Printed("");
  #look: () => void = () => undefined;
  #fail: (why: string) => void = () => undefined;

  constructor() {
    // In a process group of its own, so that its tools can be ended with it.
    const child = spawn("/bin/sh", ["-c", START], { stdio: ["pipe", "pipe", "pipe"], detached: true });
    this.#child = child;
    child.stdout.on("data", (chunk: Buffer) => this.#heard(this.#stdout, chunk));
    child.stderr.on("data", (chunk: Buffer) => this.#heard(this.#stderr, chunk));
    // A shell that stops reading shows in its end; the broken pipe itself says nothing more.
    child.stdin.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      const end = (why: string): void => {
        this.#usable = false;
        this.#fail(why);
        resolve();
      };
      child.once("error", ({ message }) => end(message));
      // Whatever runs in it holds its outputs: with them it has ended too.
      child.once("close", () => end("the shell has ended"));
    });
    this.#waitedFor(false);
  }

  /** It can take another script. */
  get usable(): boolean {
    return this.#usable;
  }

  /**
   * The tools of the script read nothing. @throws NoAnswer if it does not come to its end; nothing of it runs any more
   * then
   */
  async run(script: string, signal: AbortSignal, timeoutMs: number): Promise<Ran> {
    this.#scripts += 1;
    const end = `# script ${this.#scripts} ended with `;
    const stdout = (this.#stdout = new Printed(end));
    const stderr = (this.#stderr = new Printed(end));
    const status = Promise.withResolvers<number>();
    this.#fail = (why) => status.reject(new NoAnswer(`${script}: ${why}`));
    this.#look = () => {
      if (stdout.status !== undefined && stderr.status !== undefined) status.resolve(stdout.status);
      else if (stdout.size + stderr.size > MOST_OUTPUT) this.#fail("it does not stop talking");
    };
    const stop = (): void => this.#fail("was told to stop");
    const timer = setTimeout(() => this.#fail(`did not end within ${timeoutMs / 1_000} s`), timeoutMs);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    if (!this.#usable) this.#fail("the shell has ended");
    this.#waitedFor(true);
    try {
      if (!signal.aborted) this.#child.stdin.write(`{ ${script}; } </dev/null; s=$?; echo "${end}$s"; echo "${end}$s" >&2\n`);
      return { status: await status.promise, stdout: stdout.bytes, stderr: stderr.bytes };
    } catch (error) {
      this.close();
      await this.#ended;
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#look = () => undefined;
      this.#fail = () => undefined;
      // What has been printed is not kept until the next script.
      this.#stdout = this.#stderr = new Printed("");
      this.#waitedFor(false);
    }
  }

  /** Ends it, with what runs in it. */
  close(): void {
    const { pid } = this.#child;
    if (!this.#usable || pid === undefined) return;
    this.#usable = false;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // All of them have just ended by themselves.
    }
  }

  #heard(printed: Printed, chunk: Buffer): void {
    printed.take(chunk);
    this.#look();
  }

  /** Only a script keeps our process from ending: the shell ends with its input. */
  #waitedFor(waited: boolean): void {
    const { stdin, stdout, stderr } = this.#child;
    for (const each of [this.#child, ...[stdin, stdout, stderr].filter((stream) => stream instanceof Socket)]) {
      if (waited) each.ref();
      else each.unref();
    }
  }
}

/** With the end of a line. */
const LONGEST_STATUS = 4;

/** What one output has printed of a script, until the line that tells of its end. */
class Printed {
  readonly #end: string;
  readonly #chunks: Buffer[] = [];
  /** The last of it. */
  #tail = "";
  size = 0;

  constructor(end: string) {
    this.#end = end;
  }

  take(chunk: Buffer): void {
    const most = this.#end.length + LONGEST_STATUS;
    this.#chunks.push(chunk);
    this.size += chunk.length;
    this.#tail = (this.#tail + chunk.toString("latin1", Math.max(0, chunk.length - most))).slice(-most);
  }

  /** Once that line has come whole. */
  get status(): number | undefined {
    const at = this.#tail.lastIndexOf(this.#end);
    if (this.#end === "" || at === -1 || !this.#tail.endsWith("\n")) return undefined;
    return Number(this.#tail.slice(at + this.#end.length));
  }

  /** All that came before that line. */
  get bytes(): Buffer {
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    return all.subarray(0, all.lastIndexOf(this.#end));
  }
}
