import { buildTraffic } from "../../image/build-traffic.mjs";
import { type HostName, HOSTS, TCP_PORTS, UDP_PORTS } from "./address-plan.ts";
import { LineWorker } from "../../lab/line-worker.ts";
import type { BedNetwork } from "./network.ts";

/** A new flow from a host. ICMP is an echo request; SCTP a single INIT, which is open if it arrives. */
export interface Probe {
  readonly from: HostName;
  /** An address. */
  readonly to: string;
  readonly protocol: "TCP" | "UDP" | "ICMP" | "SCTP";
  /** Absent for ICMP. */
  readonly port?: number;
}

/** `refused`: the packet went through, and nobody listens there. */
export type Outcome = "open" | "refused" | "dropped";

/** A connection that stays, by its number. */
export type Flow = number & { readonly __brand: "Flow" };

/**
 * When no probe at all has been answered for so long, those without an answer count as dropped; where that is doubted,
 * for so much longer.
 */
const quietMs = 70;
const doubtfulQuietMs = 800;
/** TCP says again what was lost after at least 200 ms. */
const flowTimeoutMs = 500;

/** One process that sends, listens and answers in every namespace of a bed. */
export class BedProber {
  readonly #worker: LineWorker;

  private constructor(worker: LineWorker) {
    this.#worker = worker;
  }

  static async start(network: BedNetwork): Promise<BedProber> {
    const worker = new LineWorker([await buildTraffic(), "bed"], {});
    const hosts = HOSTS.map((name) => ({
      name, path: network.path(name), addresses: network.addresses(name), tcp: TCP_PORTS, udp: UDP_PORTS,
    }));
    await worker.order({ do: "hosts", hosts });
    return new BedProber(worker);
  }

  /** What becomes of each probe, all sent at once. @throws Error if one could not be sent. */
  async probe(probes: readonly Probe[], timeoutMs = quietMs): Promise<readonly Outcome[]> {
    const results = await this.#worker.order({ do: "probe", timeoutMs, probes: probes.map(wire) }) as readonly string[];
    return results.map((result, index) => {
      if (result === "open" || result === "refused" || result === "dropped") return result;
      throw new Error(`${describe(probes[index])}: ${result}`);
    });
  }

  /**
   * Whether each probe's packets go through. What `expected` contradicts is asked once more, with more time: only what
   * was seen twice counts as a contradiction.
   */
  async passes(probes: readonly Probe[], expected: readonly boolean[]): Promise<readonly boolean[]> {
    const passes = (await this.probe(probes)).map((outcome) => outcome !== "dropped");
    const doubtful = probes.map((_, index) => index).filter((index) => passes[index] !== expected[index]);
    if (doubtful.length === 0) return passes;
    const again = await this.probe(doubtful.flatMap((index) => probes[index] ?? []), doubtfulQuietMs);
    for (const [position, index] of doubtful.entries()) passes[index] = again[position] !== "dropped";
    return passes;
  }

  /** Opens connections that stay, TCP or UDP; `undefined` where no answer comes. */
  async open(probes: readonly Probe[]): Promise<readonly (Flow | undefined)[]> {
    const order = { do: "open", timeoutMs: doubtfulQuietMs, probes: probes.map(wire) };
    const flows = await this.#worker.order(order) as readonly number[];
    return flows.map((flow) => (flow === 0 ? undefined : flow as Flow));
  }

  /** Whether what each client says now is answered. */
  async echo(flows: readonly Flow[], timeoutMs = flowTimeoutMs): Promise<readonly boolean[]> {
    return await this.#worker.order({ do: "echo", timeoutMs, flows }) as readonly boolean[];
  }

  /** Whether what each server says now, without being asked, is heard. */
  async push(flows: readonly Flow[], timeoutMs = flowTimeoutMs): Promise<readonly boolean[]> {
    return await this.#worker.order({ do: "push", timeoutMs, flows }) as readonly boolean[];
  }

  async close(flows: readonly Flow[]): Promise<void> {
    await this.#worker.order({ do: "close", flows });
  }

  /** Lets a host reach an address of the machine itself, `127.0.0.1:6443` say, as if it were its own. */
  async relay(host: HostName, address: string): Promise<void> {
    await this.#worker.order({ do: "relay", host, address });
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }
}

export function describe(probe: Probe | undefined): string {
  if (probe === undefined) return "no probe";
  return `${probe.from} → ${probe.to} ${probe.protocol}${probe.port === undefined ? "" : `:${probe.port}`}`;
}

function wire({ protocol, ...probe }: Probe): object {
  return { ...probe, protocol: protocol.toLowerCase() };
}
