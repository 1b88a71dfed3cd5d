import { join } from "node:path";
import { errorMessage } from "../api/error-message.ts";
import type { Clock } from "./clock.ts";
import type { NodeCopy } from "./disk-copy.ts";
import { readDiskCopy, removeDiskCopy, writeDiskCopy } from "./disk-copy.ts";
import type { LineLogger } from "./line-logger.ts";
import { WakeUp } from "./wake-up.ts";

/** What outlives the process, and a reboot. */
export interface Memory {
  /** Takes what is in force and returns at once. */
  keep(copy: NodeCopy): void;
  /** Nothing is left of it when this returns. @throws Error */
  forget(): Promise<void>;
}

export interface NodeMemoryOptions {
  readonly directory: string;
  readonly node: string;
  readonly log: LineLogger;
  readonly clock: Clock;
}

const FILE = "node-state.jsonl";

/** Where the copy is in a state directory. */
export function diskCopyPath(directory: string): string {
  return join(directory, FILE);
}

/** Keeps the node's disk copy: the newest state, written at most once in a while, and by nobody waited for. */
export class NodeMemory implements Memory {
  readonly #path: string;
  readonly #node: string;
  readonly #log: LineLogger;
  readonly #clock: Clock;
  readonly #wakeUp = new WakeUp();
  /** Copies that come while one is being written, or too soon, replace each other here. */
  #wanted: NodeCopy | undefined;
  #newest: NodeCopy | undefined;
  #writing: Promise<void> = Promise.resolve();
  #said = "";

  constructor({ directory, node, log, clock }: NodeMemoryOptions) {
    this.#path = diskCopyPath(directory);
    this.#node = node;
    this.#log = log;
    this.#clock = clock;
  }

  /** The copy of an earlier run, if there is a sound one; of any other the log tells. */
  async recall(): Promise<NodeCopy | undefined> {
    try {
      return await readDiskCopy(this.#path, this.#node);
    } catch (error) {
      this.#log.warn("the disk copy is refused, the kernel stays as it is", { file: this.#path, reason: errorMessage(error) });
      return undefined;
    }
  }

  keep(copy: NodeCopy): void {
    if (copy.state === this.#newest?.state && copy.settings === this.#newest.settings) return;
    this.#newest = copy;
    this.#wanted = copy;
    this.#wakeUp.call();
  }

  async forget(): Promise<void> {
    this.#wanted = undefined;
    this.#newest = undefined;
    await this.#writing;
    await removeDiskCopy(this.#path);
  }

  /** Writes until the signal is aborted, and then what is not written yet. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const wanted = this.#wanted;
      if (wanted === undefined) {
        await this.#wakeUp.sleep(Infinity, this.#clock, signal);
        continue;
      }
      await this.#write(wanted);
      await this.#clock.sleep(wanted.settings.diskCopyMs, signal);
    }
    if (this.#wanted !== undefined) await this.#write(this.#wanted);
  }

  async #write(copy: NodeCopy): Promise<void> {
    this.#wanted = undefined;
    this.#writing = writeDiskCopy(this.#path, this.#node, copy).then(
      () => this.#say(""),
      (error: unknown) => {
        this.#wanted ??= this.#newest;
        this.#say(errorMessage(error));
      },
    );
    await this.#writing;
  }

  /** A full disk stays full for long: once is enough. */
  #say(problem: string): void {
    if (problem !== "" && problem !== this.#said) {
      this.#log.warn("the disk copy could not be written, will be tried again", { file: this.#path, error: problem });
    }
    this.#said = problem;
  }
}
