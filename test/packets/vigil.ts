import assert from "node:assert/strict";

import { lostInQueues } from "../lab/packet-queue.ts";
import { monotonicMs, type Prober, type Result, type Sample, type Target, type Watch } from "../lab/prober.ts";

/** A client pod and what it keeps asking; names are `<namespace>/<pod>`. */
export interface Pair {
  readonly client: string;
  readonly server: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
}

/** Where pods are: a lab, say. */
export interface Place {
  /** A process that sends from the pod; the caller stops it. */
  prober(namespace: string, pod: string): Promise<Prober>;
  podIP(namespace: string, pod: string): Promise<string>;
}

export interface Span {
  /** On the clock of `monotonicMs`; absent = from the beginning, to the end. */
  readonly from?: number;
  readonly to?: number;
}

/** Long enough for a busy machine, shorter than the second after which TCP repeats a lost SYN. */
const TIMEOUT_MS = 900;
/** A timer that is so late says that its process was held up, and may not have seen an answer that was there. */
const LATE_MS = 20;
/** Below these shares of the planned probes, of all pairs and of each, a test says nothing about what happened. */
const ENOUGH = 0.85;
/** In a short test one moment in which a client had no processor is a large share of its pairs' probes. */
const ENOUGH_OF_EACH = 0.6;

export function nameOf({ client, server, port, protocol }: Pair): string {
  return `${client} → ${server} ${protocol}/${port}`;
}

function isDoubtful({ result, latencyMs }: Sample): boolean {
  return result === "dropped" && latencyMs > TIMEOUT_MS + LATE_MS;
}

/** What was seen of one pair. */
interface Seen {
  readonly planned: number;
  /** Of no doubt. */
  readonly samples: readonly Sample[];
  /** How many were left out. */
  readonly doubtful: number;
}

interface PodWatch {
  readonly pairs: readonly Pair[];
  readonly targets: readonly Target[];
  readonly watch: Watch;
  readonly prober: Prober;
}

/** Something that was done, on the clock of `monotonicMs`. */
interface Mark {
  readonly at: number;
  readonly label: string;
}

/** Probes pairs without a pause, 200 new flows a second each, while something is done to the cluster. */
export class Vigil {
  readonly #watches: readonly PodWatch[];
  readonly #marks: Mark[] = [];
  readonly #lostBefore = lostInQueues();

  private constructor(watches: readonly PodWatch[]) {
    this.#watches = watches;
  }

  static async start(where: Place, pairs: readonly Pair[], perSecond = 200): Promise<Vigil> {
    const clients = Map.groupBy(pairs, ({ client }) => client);
    const watches = await Promise.all(
      [...clients].map(async ([client, own]) => {
        const prober = await where.prober(...place(client));
        const targets = await Promise.all(
          own.map(async ({ server, port, protocol }): Promise<Target> => ({
            to: await where.podIP(...place(server)),
            port,
            protocol,
            timeoutMs: TIMEOUT_MS,
          })),
        );
        return { pairs: own, targets, prober, watch: await prober.watch(targets, perSecond) };
      }),
    );
    return new Vigil(watches);
  }

  /** Notes that something happens now. @returns the time */
  mark(label: string): number {
    const at = monotonicMs();
    this.#marks.push({ at, label });
    return at;
  }

  /** @throws AssertionError if fewer probes were sent than a verdict needs */
  async stop(): Promise<VigilReport> {
    // All at once: each waits for its last probes.
    const reports = await Promise.all(this.#watches.map(async ({ pairs, targets, watch, prober }) => {
      const { planned, samples } = await watch.stop();
      await prober.stop();
      return pairs.map((pair, index) => {
        const all = samples.filter((sample) => sample.target === targets[index]);
        const own = all.filter((sample) => !isDoubtful(sample));
        const seen: Seen = { planned: planned / pairs.length, samples: own, doubtful: all.length - own.length };
        return [nameOf(pair), seen] as const;
      });
    }));
    const report = new VigilReport(new Map(reports.flat()), this.#marks, lostInQueues() - this.#lostBefore);
    report.assertEnough();
    return report;
  }
}

export class VigilReport {
  readonly #seen: ReadonlyMap<string, Seen>;
  readonly #marks: readonly Mark[];
  /** Packets that the machine lost by itself meanwhile. */
  readonly #lost: number;
  /** Probes that may have been among them. */
  #forgiven = 0;

  constructor(seen: ReadonlyMap<string, Seen>, marks: readonly Mark[], lost: number) {
    this.#seen = seen;
    this.#marks = marks;
    this.#lost = lost;
  }

  get sent(): number {
    return this.#sum(({ samples }) => samples.length);
  }

  /** One line for the test's output. What is forgiven later is told then. */
  get summary(): string {
    const least = Math.min(...this.#seen.values().map(shareOf));
    const probes = `${this.sent} probes of ${Math.round(this.#sum(({ planned }) => planned))} planned`;
    const doubtful = this.#sum((seen) => seen.doubtful);
    const left = doubtful > 0 ? `, ${doubtful} more left out as doubtful` : "";
    const lost = this.#lost > 0 ? `, while the machine's own queues lost ${this.#lost} packets` : "";
    return `${probes} over ${this.#seen.size} pairs, of each at least ${Math.floor(100 * least)} %${left}${lost}`;
  }

  assertEnough(): void {
    const all = this.#sum(({ planned }) => planned);
    assert.ok(this.sent >= all * ENOUGH, `the machine was too busy to tell: ${this.summary}`);
    // Many probes of one pair say nothing of another.
    const few = [...this.#seen].filter(([, seen]) => shareOf(seen) < ENOUGH_OF_EACH);
    const told = few.map(([name, seen]) => `${name}: ${seen.samples.length} of ${Math.round(seen.planned)}`).join("; ");
    assert.equal(told, "", `the machine was too busy to tell, with only ${told}; ${this.summary}`);
  }

  /**
   * Every probe of these pairs that was sent in the span came out so; one that was dropped proves nothing where the
   * machine has lost a packet before it came to any rule.
   */
  assertAll(pairs: readonly Pair[], expected: Result, { from = -Infinity, to = Infinity }: Span = {}): void {
    const verdicts = pairs.map((pair) => {
      const sent = (this.#seen.get(nameOf(pair))?.samples ?? []).filter(({ at }) => at >= from && at <= to);
      return { pair, sent: sent.length, wrong: sent.filter(({ result }) => result !== expected) };
    });
    for (const { pair, sent } of verdicts) assert.ok(sent > 0, `${nameOf(pair)}: no probe was sent in the span`);
    const dropped = verdicts.flatMap(({ wrong }) => wrong);
    if (expected === "open" && this.#mayHaveLost(dropped)) return;
    // All pairs in one message: whether one pod was slow or one rule wrong shows in which of them failed.
    const failed = verdicts
      .filter(({ wrong }) => wrong.length > 0)
      .map(({ pair, sent, wrong }) => {
        const examples = [...wrong.slice(0, 3), ...wrong.slice(-1)].map((sample) => this.#tell(sample)).join("; ");
        return `${nameOf(pair)}: ${wrong.length} of ${sent} probes not ${expected}: ${examples}`;
      });
    assert.equal(failed.join("\n"), "");
  }

  #mayHaveLost(samples: readonly Sample[]): boolean {
    if (this.#forgiven + samples.length > this.#lost || samples.some(({ result }) => result !== "dropped")) return false;
    this.#forgiven += samples.length;
    const lost = `the machine's own queues lost ${this.#lost}`;
    if (samples.length > 0) process.stdout.write(`        ${samples.length} dropped probes forgiven: ${lost} packets\n`);
    return true;
  }

  #sum(count: (seen: Seen) => number): number {
    return this.#seen.values().reduce((sum, seen) => sum + count(seen), 0);
  }

  #tell({ at, result, latencyMs, error }: Sample): string {
    const before = this.#marks.findLast((mark) => mark.at <= at);
    const when =
      before === undefined ? "before the first mark" : `${Math.round(at - before.at)} ms after "${before.label}"`;
    return `${result} ${when} (${latencyMs.toFixed(1)} ms${error === undefined ? "" : `, ${error}`})`;
  }
}

function shareOf({ planned, samples }: Seen): number {
  return planned === 0 ? 1 : samples.length / planned;
}

/** `<namespace>/<pod>` in its two halves. */
export function place(name: string): [namespace: string, pod: string] {
  const [namespace = "", pod = ""] = name.split("/");
  return [namespace, pod];
}
