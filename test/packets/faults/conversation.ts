import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { LineWorker } from "../../lab/line-worker.ts";
import { type Hold, Prober } from "../../lab/prober.ts";
import type { Talked, TalkOrder } from "./udp-talk.ts";

const UDP_TALK = fileURLToPath(new URL("udp-talk.ts", import.meta.url));
/** A client speaks many times in it. */
const SILENT_MS = 400;

/** Between whom it is. */
export interface Ends {
  /** Words that make a command run inside the client. */
  readonly enter: readonly string[];
  /** The program that speaks TCP. */
  readonly traffic: string;
  readonly to: string;
  /** Of both protocols. */
  readonly port: number;
}

/** A TCP connection and a UDP flow that stay: the client says something all the time, and the server answers. */
export class Conversation {
  readonly #prober: Prober;
  readonly #hold: Hold;
  readonly #talk: LineWorker;

  private constructor(prober: Prober, hold: Hold, talk: LineWorker) {
    this.#prober = prober;
    this.#hold = hold;
    this.#talk = talk;
  }

  /** @throws Error if one of them does not work to begin with */
  static async open({ enter, traffic, to, port }: Ends): Promise<Conversation> {
    const prober = new Prober([...enter, traffic, "probe"], {});
    const talk = new LineWorker([...enter, process.execPath, UDP_TALK], {});
    try {
      const [hold] = await Promise.all([
        prober.hold({ to, port, protocol: "tcp", timeoutMs: 5_000 }),
        talk.order({ do: "begin", to, port } satisfies TalkOrder),
      ]);
      return new Conversation(prober, hold, talk);
    } catch (error) {
      await Promise.all([prober.stop(), talk.stop()]);
      throw error;
    }
  }

  /** The connection is open, and no datagram was lost. Nothing is said after it. */
  async assertUnbroken(): Promise<void> {
    assert.ok((await this.#hold.release()).open, "the long TCP connection has ended");
    const { said, heard } = await this.#ask({ do: "end" });
    assert.equal(heard, said, `the long UDP flow: ${heard} of ${said} datagrams were answered`);
  }

  /** Both had a way once, and nothing that came after `since` was an answer. It is waited for a little. */
  async assertSilent(since: number): Promise<void> {
    await sleep(SILENT_MS);
    const { echoes, lastEchoAtMs } = await this.#hold.look();
    const { heard, lastHeardAtMs } = await this.#ask({ do: "look" });
    const seen = [["TCP connection", echoes, lastEchoAtMs], ["UDP flow", heard, lastHeardAtMs]] as const;
    for (const [name, answers, last] of seen) {
      assert.ok(answers > 0, `the ${name} never had a way`);
      assert.ok(last <= since, `the ${name} was answered ${Math.round(last - since)} ms too late`);
    }
  }

  async stop(): Promise<void> {
    await Promise.all([this.#prober.stop(), this.#talk.stop()]);
  }

  async #ask(order: TalkOrder): Promise<Talked> {
    return await this.#talk.order(order) as Talked;
  }
}
