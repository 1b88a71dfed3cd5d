import { Channel, ChannelBroken } from "./channel.ts";
import { NetfilterError } from "./netfilter.ts";

/** What all tables of a busy node print stays far below. */
const MOST_OUTPUT = 1 << 28;

/**
 * A shell that is kept running, for what is asked of the tools again and again: to start a process from one as large as
 * ours costs as much as the tools do.
 */
export class Shell {
  readonly #channel = new Channel(["sh"], MOST_OUTPUT);
  #scripts = 0;

  /**
   * What a script prints; its tools read nothing.
   * @throws NetfilterError if it fails or hangs; what the tools have said of it is not kept
   */
  async run(script: string, signal: AbortSignal): Promise<string> {
    this.#scripts += 1;
    const end = `# script ${this.#scripts} ended with `;
    let output: string;
    try {
      const input = `{ ${script}; } </dev/null; echo "${end}$?"\n`;
      output = await this.#channel.request(input, (printed) => hasEnded(printed, end), signal);
    } catch (error) {
      if (!(error instanceof ChannelBroken)) throw error;
      throw new NetfilterError("ApplyFailed", error.message, { cause: error });
    }
    const at = output.lastIndexOf(end);
    const status = Number(output.slice(at + end.length));
    if (status !== 0) throw new NetfilterError("ApplyFailed", `${script}: exit status ${status}`);
    return output.slice(0, at);
  }

  close(): void {
    this.#channel.close();
  }
}

/** The last line has come whole. */
function hasEnded(printed: string, end: string): boolean {
  return printed.endsWith("\n") && printed.slice(-end.length - LONGEST_STATUS).includes(end);
}

/** Of an exit status, with the end of the line. */
const LONGEST_STATUS = 4;
