import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../../lab/wait.ts";
import { type Hold, type Life, monotonicMs, type Prober } from "../../lab/prober.ts";
import type { Flow } from "../bed/prober.ts";
import { nameOf, type Pair, place } from "../vigil.ts";
import { hostNamed, type Scene } from "./scene.ts";

/** A client's word on a UDP flow. */
interface Asked {
  readonly at: number;
  readonly answered: boolean;
}

interface Talk {
  readonly pair: Pair;
  readonly tcp?: { readonly prober: Prober; readonly hold: Hold };
  readonly udp?: { readonly flow: Flow; readonly asked: Asked[] };
}

const PAUSE_MS = 20;
const SOON = { timeoutMs: 20_000, everyMs: 20 };

/** Connections that stay: each client says something all the time, and the server answers. */
export class LongFlows {
  readonly #scene: Scene;
  readonly #talks: readonly Talk[];
  #over = false;
  readonly #asking: Promise<void>;

  private constructor(scene: Scene, talks: readonly Talk[]) {
    this.#scene = scene;
    this.#talks = talks;
    this.#asking = this.#ask();
    // Where a test has failed, nobody waits for it.
    this.#asking.catch(() => undefined);
  }

  /** @throws Error if one of them does not work to begin with */
  static async open(scene: Scene, pairs: readonly Pair[]): Promise<LongFlows> {
    return new LongFlows(scene, await Promise.all(pairs.map((pair) => begin(scene, pair))));
  }

  /** Waits until each of these has been answered once more: it is in force in both directions now. */
  async assertAlive(pairs: readonly Pair[]): Promise<void> {
    const since = monotonicMs();
    for (const pair of pairs) {
      await waitFor(`${nameOf(pair)}, open for long, being answered`, async () => {
        return (await this.#lastAnswer(pair)) > since ? true : undefined;
      }, SOON);
    }
  }

  /** Nothing that a client of these has said since `since` has been answered. */
  async assertSilent(pairs: readonly Pair[], since: number): Promise<void> {
    for (const pair of pairs) {
      const late = (await this.#lastAnswer(pair)) - since;
      assert.ok(late <= 0, `${nameOf(pair)}, open for long, was answered ${Math.round(late)} ms too late`);
    }
  }

  /** @throws AssertionError if a datagram of these was not answered */
  async end(unbroken: readonly Pair[] = []): Promise<void> {
    this.#over = true;
    await this.#asking;
    for (const { tcp, udp } of this.#talks) {
      await tcp?.prober.stop();
      if (udp !== undefined) await this.#scene.bed.prober.close([udp.flow]);
    }
    for (const pair of unbroken) {
      const asked = this.#talk(pair).udp?.asked ?? [];
      const lost = asked.filter(({ answered }) => !answered).length;
      assert.equal(lost, 0, `${nameOf(pair)}, open for long: ${lost} of ${asked.length} datagrams were not answered`);
    }
  }

  #talk(pair: Pair): Talk {
    const talk = this.#talks.find((each) => nameOf(each.pair) === nameOf(pair));
    if (talk === undefined) throw new Error(`${nameOf(pair)} is not kept open`);
    return talk;
  }

  /** When something was said that was answered; for TCP, when an answer came. */
  async #lastAnswer(pair: Pair): Promise<number> {
    const { tcp, udp } = this.#talk(pair);
    const life: Life | undefined = await tcp?.hold.look();
    return life?.lastEchoAtMs ?? udp?.asked.findLast(({ answered }) => answered)?.at ?? -Infinity;
  }

  async #ask(): Promise<void> {
    const datagrams = this.#talks.flatMap(({ udp }) => udp ?? []);
    while (!this.#over && datagrams.length > 0) {
      const at = monotonicMs();
      const answers = await this.#scene.bed.prober.echo(datagrams.map(({ flow }) => flow), 900);
      for (const [index, { asked }] of datagrams.entries()) asked.push({ at, answered: answers[index] === true });
      await sleep(PAUSE_MS);
    }
  }
}

async function begin(scene: Scene, pair: Pair): Promise<Talk> {
  const [namespace, client] = place(pair.client);
  const to = await scene.podIP(...place(pair.server));
  if (pair.protocol === "udp") {
    const [flow] = await scene.bed.prober.open([{ from: hostNamed(client), to, protocol: "UDP", port: pair.port }]);
    if (flow === undefined) throw new Error(`${nameOf(pair)} does not open`);
    return { pair, udp: { flow, asked: [] } };
  }
  const prober = await scene.prober(namespace, client);
  return { pair, tcp: { prober, hold: await prober.hold({ to, port: pair.port, protocol: "tcp", timeoutMs: 5_000 }) } };
}
