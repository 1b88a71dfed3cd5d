import type { EnforcerSettings } from "../../../operator/api/enforcer-settings.ts";
import { waitFor } from "../../lab/wait.ts";
import { ADDRESSES, FAMILIES, HOSTS, type NodeHost, NODES } from "./address-plan.ts";
import { ClusterFeed, type RawCluster } from "./cluster-feed.ts";
import { BedNetwork, type Wiring } from "./network.ts";
import { NodeLink } from "./node-link.ts";
import { BedProber, type Probe } from "./prober.ts";
import type { FirewallOptions } from "./product-agent.ts";

/** Two nodes with pods and real packets, and Tierwall from raw objects to the kernel between them. */
export class Bed {
  readonly network: BedNetwork;
  readonly prober: BedProber;
  #links = new Map<NodeHost, NodeLink>();
  #feed: ClusterFeed | undefined;
  #settings = "";
  #greeting: Partial<EnforcerSettings> = {};

  private constructor(network: BedNetwork, prober: BedProber) {
    this.network = network;
    this.prober = prober;
  }

  /** Without a firewall: call `install` next. */
  static async create(wiring: Wiring): Promise<Bed> {
    const network = await BedNetwork.create(wiring);
    try {
      const prober = await BedProber.start(network);
      // The kernel may take a second until it has told IPv6 that a link is up.
      await waitFor("every host of the bed reaching every other", async () => {
        const outcomes = await prober.probe(everyPair());
        return outcomes.every((outcome) => outcome === "open") ? true : undefined;
      }, { timeoutMs: 10_000, everyMs: 20 });
      return new Bed(network, prober);
    } catch (error) {
      await network.remove();
      throw error;
    }
  }

  /** Starts the enforcers on nodes that hold nothing of an earlier one. */
  async install(options: FirewallOptions): Promise<void> {
    await this.#stopLinks();
    await Promise.all(NODES.map((node) => this.network.wipe(node)));
    await this.#start(options);
  }

  /** Kills the enforcers and starts others on what is in force. */
  async restart(options: FirewallOptions): Promise<void> {
    await this.#stopLinks();
    await this.#start(options);
  }

  /** Returns when both nodes enforce the cluster as it is given. Other settings are as if the operator restarted. */
  async apply(cluster: RawCluster): Promise<void> {
    await this.#tell(cluster);
    // On a bridge pods discover each other through the filter.
    if (this.network.wiring === "bridge") await this.network.forgetNeighbours();
  }

  /** Starts one enforcer on what a killed one has left, and waits until it has applied what that one had not. */
  async revive(node: NodeHost, options: FirewallOptions): Promise<void> {
    await this.#links.get(node)?.stop();
    const link = await this.#link(node, options);
    this.#links.set(node, link);
    if (this.#feed !== undefined) await link.greet(this.#greeting, this.#feed.state(node));
  }

  /** The enforcer of a node. */
  enforcer(node: NodeHost): NodeLink {
    const link = this.#links.get(node);
    if (link === undefined) throw new Error(`no enforcer on ${node}`);
    return link;
  }

  async #tell(cluster: RawCluster): Promise<void> {
    const { enforce, nodeTraffic } = cluster;
    const settings = `${enforce} ${nodeTraffic}`;
    if (this.#feed === undefined || this.#settings !== settings) {
      const feed = new ClusterFeed(enforce);
      feed.update(cluster);
      await Promise.all([...this.#links].map(([node, link]) => link.greet({ nodeTraffic }, feed.state(node))));
      this.#feed = feed;
      this.#settings = settings;
      this.#greeting = { nodeTraffic };
      return;
    }
    const changes = this.#feed.update(cluster);
    await Promise.all([...this.#links].map(async ([node, link]) => {
      const delta = changes.get(node);
      if (delta !== undefined) await link.change(delta);
    }));
  }

  async remove(): Promise<void> {
    await this.#stopLinks();
    await this.prober.stop();
    await this.network.remove();
  }

  async #start(options: FirewallOptions): Promise<void> {
    this.#feed = undefined;
    const started = NODES.map(async (node) => [node, await this.#link(node, options)] as const);
    this.#links = new Map(await Promise.all(started));
  }

  async #link(node: NodeHost, options: FirewallOptions): Promise<NodeLink> {
    // The legacy tools' lock is one file for the whole machine: nodes are machines of their own.
    const env = {
      XTABLES_LOCKFILE: this.network.lock(node),
      ...(options.path !== undefined && { PATH: options.path }),
    };
    // `ip netns exec` shows the node's own interfaces under /sys too, as a pod on its host network sees them.
    const enter = ["ip", "netns", "exec", this.network.namespace(node)];
    return await NodeLink.start(node, enter, env, options);
  }

  async #stopLinks(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.stop()));
    this.#links.clear();
  }
}

function everyPair(): readonly Probe[] {
  return HOSTS.flatMap((from) => HOSTS.flatMap((to) => FAMILIES.map((family): Probe => (
    { from, to: ADDRESSES[to][family], protocol: "ICMP" }
  ))));
}
