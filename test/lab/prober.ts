import { LineWorker } from "./line-worker.ts";

export type Result = "open" | "refused" | "dropped" | "error";

export interface Target {
  readonly to: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  /** Default 300: shorter than the second after which TCP repeats its SYN. */
  readonly timeoutMs?: number;
  /** The TCP server does not speak first: a connection alone counts as open. */
  readonly silent?: boolean;
}

export interface Question {
  /** Address of the DNS server. */
  readonly server: string;
  readonly name: string;
  readonly protocol: "tcp" | "udp";
}

export interface Verdict {
  readonly result: Result;
  readonly latencyMs: number;
  /** What the server called itself. */
  readonly banner?: string;
  readonly error?: string;
}

/** One probe of a watch; `at` is on the clock of `monotonicMs`. */
export interface Sample {
  readonly target: Target;
  readonly at: number;
  readonly result: Result;
  readonly latencyMs: number;
  readonly error?: string;
}

export interface WatchReport {
  readonly samples: readonly Sample[];
  /** Probes that the rate asks for in the time that the watch ran. */
  readonly planned: number;
}

/** What became of one long TCP connection. */
export interface Life {
  readonly echoes: number;
  readonly longestGapMs: number;
  readonly lastEchoAtMs: number;
  readonly open: boolean;
  readonly error?: string;
}

export interface Watch {
  /** Ends it, after the probes under way. */
  stop(): Promise<WatchReport>;
}

export interface Hold {
  look(): Promise<Life>;
  release(): Promise<Life>;
}

const defaultTimeoutMs = 300;
const defaultIntervalMs = 20;

/** Now, on the clock that samples carry: CLOCK_MONOTONIC in milliseconds, shared by all processes of the machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A process inside one network namespace that sends what it is told to. */
export class Prober {
  readonly #worker: LineWorker;
  #handles = 0;

  /** @param argv `traffic probe` behind the words that enter the namespace. */
  constructor(argv: readonly string[], env: Readonly<Record<string, string>>) {
    this.#worker = new LineWorker(argv, env);
  }

  async probe(target: Target): Promise<Verdict> {
    return await this.#order({ do: "probe", ...timed(target) }) as Verdict;
  }

  /** IPv4 addresses of a name, asked of one DNS server over one protocol. @throws if it does not answer within 2 s. */
  async resolve(question: Question): Promise<readonly string[]> {
    const { server: to, name, protocol } = question;
    return await this.#order({ do: "resolve", to, name, protocol, port: 53, timeoutMs: 2000 }) as readonly string[];
  }

  /** Probes every target `perSecond` times a second, each time by a new flow, until it is stopped. */
  async watch(targets: readonly Target[], perSecond = 200): Promise<Watch> {
    const handle = (this.#handles += 1);
    await this.#order({ do: "watch", handle, perSecond, targets: targets.map(timed) });
    return {
      stop: async () => {
        const report = await this.#order({ do: "unwatch", handle }) as RawReport;
        return { planned: report.planned, samples: (report.samples ?? []).flatMap((sample) => {
          const target = targets[sample.p];
          if (target === undefined) return [];
          const { t: at, r: result, l: latencyMs, e: error } = sample;
          return [{ target, at, result, latencyMs, ...(error === undefined ? {} : { error }) }];
        }) };
      },
    };
  }

  /** Keeps one TCP connection open, with a line every `intervalMs` that is expected back. */
  async hold(target: Target, intervalMs = defaultIntervalMs): Promise<Hold> {
    const handle = (this.#handles += 1);
    await this.#order({ do: "hold", handle, intervalMs, ...timed(target) });
    return {
      look: async () => await this.#order({ do: "look", handle }) as Life,
      release: async () => await this.#order({ do: "release", handle }) as Life,
    };
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  #order(order: object): Promise<unknown> {
    return this.#worker.order(order);
  }
}

interface RawReport {
  readonly planned: number;
  readonly samples: readonly { p: number; t: number; r: Result; l: number; e?: string }[] | null;
}

function timed(target: Target): Target {
  return { timeoutMs: defaultTimeoutMs, ...target };
}
