import type { Address, Network } from "../api/address.ts";
import { canonicalJson } from "../api/canonical-json.ts";
import { canonicalSelector, selects, type LabelSelector } from "../api/label-selector.ts";
import type { Settings } from "../api/settings.ts";
import type { Node } from "../api/workload.ts";
import { mergeAddresses, networkText, nodeAddresses } from "../compile/address-blocks.ts";
import type { ApiServerFacts, Facts, NodeFacts } from "../compile/facts.ts";
import { dnsFacts } from "./dns-facts.ts";

/** What the watches show at this moment; empty or `undefined` = nothing. */
export interface FactSources {
  clusterIPs(namespace: string, name: string): readonly string[];
  apiServer(): ApiServerFacts | undefined;
  readonly nodes: ReadonlyMap<string, Node>;
}

export interface KnownFactsOptions {
  readonly sources: FactSources;
  readonly settings: Pick<Settings, "dns" | "nodeCIDRs" | "excludedNamespaces">;
  /** The operator's own. */
  readonly namespace: string;
}

/** A NetworkPolicy should not hold more than this of one peer. */
const MOST_BLOCKS = 1_000;

/** The facts of the cluster as last known: an empty answer is a hiccup, and never replaces what was seen before. */
export class KnownFacts {
  readonly #options: KnownFactsOptions;
  readonly #clusterIPs = new Map<string, readonly string[]>();
  #apiServer: ApiServerFacts | undefined;
  /** By selector; `from` are the addresses that `facts` was worked out from. */
  readonly #nodes = new Map<string, { readonly from: string; readonly facts: NodeFacts }>();
  readonly #addresses = new WeakMap<Node, readonly Address[]>();

  constructor(options: KnownFactsOptions) {
    this.#options = options;
  }

  facts(): Facts {
    const { sources, settings, namespace } = this.#options;
    const apiServer = sources.apiServer();
    this.#apiServer = apiServer ?? (this.#apiServer && { ...this.#apiServer, stale: true });
    return {
      dns: dnsFacts(settings.dns, (service, name) => this.#addressesOf(service, name)),
      apiServer: this.#apiServer,
      excludedNamespaces: [...settings.excludedNamespaces, namespace],
      nodes: (selector) => this.#nodeFacts(selector),
    };
  }

  #addressesOf(namespace: string, name: string) {
    const key = `${namespace}/${name}`;
    const shown = this.#options.sources.clusterIPs(namespace, name);
    if (shown.length > 0) this.#clusterIPs.set(key, shown);
    return { addresses: this.#clusterIPs.get(key) ?? [], stale: shown.length === 0 };
  }

  #nodeFacts(selector: LabelSelector): NodeFacts {
    const key = canonicalJson(canonicalSelector(selector));
    const known = this.#nodes.get(key);
    const nodes = [...this.#options.sources.nodes.values()].filter(({ labels }) => selects(selector, labels));
    const from = nodes.map(({ addresses, podCIDRs }) => `${addresses.join()} ${podCIDRs.join()}`).join("\n");
    if (known?.from === from) return known.facts;
    const facts = this.#judge(mergeAddresses(nodes.flatMap((node) => this.#parsed(node))), known?.facts.blocks);
    this.#nodes.set(key, { from, facts });
    return facts;
  }

  #judge(networks: readonly Network[], before: readonly string[] | undefined): NodeFacts {
    const { nodeCIDRs } = this.#options.settings;
    if (networks.length === 0) return { blocks: before, ...(before && { stale: true }) };
    if (networks.length <= MOST_BLOCKS) return { blocks: networks.map(networkText) };
    return nodeCIDRs.length > 0 ? { blocks: nodeCIDRs } : { blocks: before, tooMany: networks.length };
  }

  #parsed(node: Node): readonly Address[] {
    const known = this.#addresses.get(node) ?? nodeAddresses(node);
    this.#addresses.set(node, known);
    return known;
  }
}
