import type { ClusterDraft } from "../../cases/case.ts";
import { rawCluster, type RawCluster } from "../../cases/raw-cluster.ts";
import { buildTraffic } from "../../image/build-traffic.mjs";
import { Prober } from "../../lab/prober.ts";
import type { Family } from "../../../operator/enforcer/layout/family.ts";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { ADDRESSES, HOSTS, type HostName, planOf } from "../bed/address-plan.ts";
import { Bed } from "../bed/bed.ts";
import { withoutCounts } from "../enforced-node.ts";
import type { Pair, Place } from "../vigil.ts";

/** A bed with continuous probes. Only one family has pods in it, so that what the enforcer writes is one sequence. */
export class Scene implements Place {
  readonly bed: Bed;
  readonly family: Family;
  readonly #traffic: string;
  readonly #probers: Prober[] = [];

  private constructor(bed: Bed, family: Family, traffic: string) {
    this.bed = bed;
    this.family = family;
    this.#traffic = traffic;
  }

  static async create(family: Family = "ipv4"): Promise<Scene> {
    return new Scene(await Bed.create("ptp"), family, await buildTraffic());
  }

  cluster(draft: ClusterDraft): RawCluster {
    return rawCluster(draft, planOf([this.family]));
  }

  /** The namespace of a pod tells the reader what policies make of it; hosts have their names alone. */
  async prober(_namespace: string, host: string): Promise<Prober> {
    const prober = new Prober([...this.bed.network.enter(hostNamed(host)), this.#traffic, "probe"], {});
    this.#probers.push(prober);
    return prober;
  }

  async podIP(_namespace: string, host: string): Promise<string> {
    return ADDRESSES[hostNamed(host)][this.family];
  }

  /** What a command prints on the node whose enforcer is tried. @throws Error if it fails */
  async onNode(...argv: readonly string[]): Promise<string> {
    return await this.bed.network.run("left", argv);
  }

  /** The tables of one family and backend on that node, without counts. */
  async tables(backend: Backend): Promise<readonly string[]> {
    return withoutCounts(await this.onNode(`${this.iptables(backend)}-save`)).split("\n");
  }

  /** The program of one backend for the scene's family. */
  iptables(backend: Backend): string {
    return `${this.family === "ipv4" ? "iptables" : "ip6tables"}-${backend}`;
  }

  /** Ends what a test that failed has left running; the next one may install its own. */
  async quiet(): Promise<void> {
    await Promise.all(this.#probers.splice(0).map((prober) => prober.stop()));
  }

  async remove(): Promise<void> {
    await this.quiet();
    await this.bed.remove();
  }
}

/** On a busy machine the answer of a probe that was sent shortly before a change may come after it. */
export const EDGE_MS = 100;

/** A TCP and a UDP pair from one host to another. */
export function both(client: string, server: string): readonly Pair[] {
  return [tcp(client, server), udp(client, server)];
}

export function tcp(client: string, server: string): Pair {
  return { client, server, protocol: "tcp", port: 80 };
}

export function udp(client: string, server: string): Pair {
  return { client, server, protocol: "udp", port: 53 };
}

export function hostNamed(name: string): HostName {
  const host = HOSTS.find((each) => each === name);
  if (host === undefined) throw new Error(`no host ${name}`);
  return host;
}

/** One line of figures for whoever reads the test's output. */
export function tell(...parts: readonly string[]): void {
  process.stdout.write(`        ${parts.join("; ")}\n`);
}
