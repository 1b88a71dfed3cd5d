import type { Family } from "../layout/family.ts";
import type { Flow, TrackedFlow } from "../layout/flow-verdict.ts";
import type { KernelState } from "../render/kernel-state.ts";
import { Channel, ChannelBroken } from "./channel.ts";
import { iptablesProgram, RESTORE } from "./iptables.ts";
import type { Backend, MemberView, Netfilter } from "./netfilter.ts";
import { NetfilterError, NoAnswer } from "./netfilter.ts";

/** Above this many lines a process of its own is quicker: it sends them to the kernel in large messages. */
const MOST_LINES = 200;
/** ipset reads its input in pieces of so many characters, and answers each. */
const LONGEST_LINE = 1_000;
const PROMPT = "ipset> ";
const EACH_COMMIT = /(?<=^COMMIT\n)/m;

/**
 * The kernel by tools that are kept running, for changes: each takes a fraction of a millisecond instead of the
 * milliseconds that a process needs to start. Everything else goes the cold way, and so does whatever a channel fails at
 * and may be told twice.
 */
export class WarmNetfilter implements Netfilter {
  readonly #cold: Netfilter;
  readonly #sets: Channel;
  readonly #rules: Readonly<Record<Family, Channel>>;
  #requests = 0;

  constructor(cold: Netfilter) {
    this.#cold = cold;
    // One pipe for both outputs: which line an error belongs to is told by the prompts around it. Unbuffered, since
    // output to a pipe would otherwise wait for more.
    this.#sets = new Channel(["sh", "-c", "exec stdbuf -o0 ipset -exist - 2>&1"]);
    const restore = (family: Family): Channel => {
      return new Channel(["stdbuf", "-o0", iptablesProgram(family, cold.backend, "restore"), ...RESTORE, "-v"]);
    };
    this.#rules = { ipv4: restore("ipv4"), ipv6: restore("ipv6") };
  }

  get backend(): Backend {
    return this.#cold.backend;
  }

  async restoreSets(text: string, signal: AbortSignal): Promise<void> {
    const lines = text.split("\n").filter((line) => line !== "");
    if (lines.length > MOST_LINES || lines.some((line) => line.length > LONGEST_LINE)) {
      return await this.#cold.restoreSets(text, signal);
    }
    let words: string;
    try {
      words = await this.#askSets(lines, signal);
    } catch (error) {
      if (!(error instanceof ChannelBroken) || signal.aborted) throw asNetfilterError(error);
      return await this.#cold.restoreSets(text, signal);
    }
    // Lines before and after one that failed are in force: the caller reads the kernel anew.
    if (words !== "") throw new NetfilterError("ApplyFailed", `ipset: ${words}`);
  }

  async restoreRules(family: Family, text: string, signal: AbortSignal): Promise<void> {
    // Comments are echoed in their turn: each of these once the transaction before it is committed.
    const parts = text.split(EACH_COMMIT).map((transaction) => ({ transaction, echo: this.#nextEcho() }));
    const input = parts.map(({ transaction, echo }) => transaction + echo).join("");
    const last = parts.at(-1)?.echo ?? "";
    try {
      await this.#rules[family].request(input, (output) => output.endsWith(last), signal);
    } catch (error) {
      if (!(error instanceof ChannelBroken) || signal.aborted) throw asNetfilterError(error);
      // Lines that may be in force must not be told once more, or they would stand twice.
      if (!error.refused || parts.some(({ echo }) => error.output.includes(echo))) throw asNetfilterError(error);
      // Nothing of it has happened: if it was the text, the cold way refuses it too and says why.
      await this.#cold.restoreRules(family, text, signal);
    }
  }

  #nextEcho(): string {
    this.#requests += 1;
    return `# ack ${this.#requests}\n`;
  }

  read(family: Family, signal: AbortSignal): Promise<KernelState> {
    return this.#cold.read(family, signal);
  }

  outline(family: Family, members: MemberView, signal: AbortSignal): Promise<string> {
    return this.#cold.outline(family, members, signal);
  }

  leftovers(family: Family, signal: AbortSignal): Promise<Pick<KernelState, "chains" | "hooks">> {
    return this.#cold.leftovers(family, signal);
  }

  reached(family: Family, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    return this.#cold.reached(family, signal);
  }

  foreignMarkBits(signal: AbortSignal): Promise<number> {
    return this.#cold.foreignMarkBits(signal);
  }

  connectionHolds(family: Family, mark: string, signal: AbortSignal): Promise<boolean> {
    return this.#cold.connectionHolds(family, mark, signal);
  }

  flows(family: Family, signal: AbortSignal): Promise<readonly TrackedFlow[]> {
    return this.#cold.flows(family, signal);
  }

  forget(family: Family, flows: readonly Flow[], signal: AbortSignal): Promise<void> {
    return this.#cold.forget(family, flows, signal);
  }

  forgetAddress(family: Family, address: string, signal: AbortSignal): Promise<void> {
    return this.#cold.forgetAddress(family, address, signal);
  }

  close(): void {
    for (const channel of [this.#sets, ...Object.values(this.#rules)]) channel.close();
    this.#cold.close();
  }

  /** What ipset said beside its prompts: nothing if all is well. */
  async #askSets(lines: readonly string[], signal: AbortSignal): Promise<string> {
    // It prompts once for each line, after it; the very first prompt comes unasked.
    const input = lines.map((line) => `${line}\n`).join("");
    const answered = (output: string, fresh: boolean): boolean => {
      const prompts = fresh ? lines.length + 1 : lines.length;
      return output.endsWith(PROMPT) && output.split(PROMPT).length > prompts;
    };
    const output = await this.#sets.request(input, answered, signal);
    return output.replaceAll(PROMPT, "").trim();
  }
}

function asNetfilterError(error: unknown): unknown {
  if (!(error instanceof ChannelBroken)) return error;
  const { message, refused } = error;
  const cause = { cause: error };
  return refused ? new NetfilterError("ApplyFailed", message, cause) : new NoAnswer(message, cause);
}
