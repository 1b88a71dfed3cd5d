import { Channel, ChannelBroken } from "./channel.ts";
import { NetfilterError } from "./netfilter.ts";

const PROMPT = "ipset> ";
/** What thousands of sets print stays far below. */
const MOST_OUTPUT = 1 << 26;
/** ipset begins so what it has to say of a failure. */
const FAILED = /^ipset v.*$/m;

/**
 * All sets without their members, as `ipset list -t` prints them, from a process that is kept for that: to start one
 * costs ten times as much. It is asked nothing else, since ipset remembers options from one command to the next.
 */
export class SetSizes {
  /** Both outputs come as one, unbuffered: output to a pipe would otherwise wait for more. */
  readonly #channel = new Channel(["sh", "-c", "exec stdbuf -o0 ipset - 2>&1"], MOST_OUTPUT);

  /** @throws NetfilterError, which may say little: one that is started for it tells why */
  async list(signal: AbortSignal): Promise<string> {
    // It prompts after each line; the very first prompt comes unasked.
    const answered = (output: string, fresh: boolean): boolean => {
      return output.endsWith(PROMPT) && output.split(PROMPT).length > (fresh ? 2 : 1);
    };
    let output: string;
    try {
      output = await this.#channel.request("list -t\n", answered, signal);
    } catch (error) {
      if (!(error instanceof ChannelBroken)) throw error;
      throw new NetfilterError("ApplyFailed", error.message, { cause: error });
    }
    const [failure] = output.match(FAILED) ?? [];
    if (failure !== undefined) throw new NetfilterError("ApplyFailed", failure);
    return output.replaceAll(PROMPT, "");
  }

  close(): void {
    this.#channel.close();
  }
}
