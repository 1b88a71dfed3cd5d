import type { SegmentPolicy } from "../api/segment-policy.ts";
import type { Settings } from "../api/settings.ts";
import { compile } from "../compile/compile.ts";
import type { Facts } from "../compile/facts.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { ClusterWatch } from "./cluster-watch.ts";
import { dnsFacts } from "./dns-facts.ts";
import { ENFORCER_NAME } from "./enforcer-daemonset.ts";
import { enforcementMode, type EnforcementMode } from "./enforcement-mode.ts";
import type { PolicyView } from "./policy-view.ts";

export interface ClusterFactsOptions {
  readonly watch: ClusterWatch;
  readonly view: PolicyView;
  readonly resolver: Resolver;
  readonly settings: Settings;
  /** The operator's own. */
  readonly namespace: string;
}

/** What follows from the local copies and the settings, worked out when it is asked for. */
export class ClusterFacts {
  readonly #options: ClusterFactsOptions;

  constructor(options: ClusterFactsOptions) {
    this.#options = options;
  }

  /** What compile needs beside a spec, and the names of what of it is not known yet. */
  facts(): { readonly facts: Facts; readonly unknown: readonly string[] } {
    const { settings, watch } = this.#options;
    const { facts, unknown } = dnsFacts(settings.dns, (namespace, name) => watch.clusterIPs(namespace, name));
    return { facts: { dns: facts }, unknown };
  }

  mode(): EnforcementMode {
    const { settings, watch, namespace } = this.#options;
    const daemonSets = watch.daemonSets.store;
    const own = daemonSets.has(`${namespace}/${ENFORCER_NAME}`);
    return enforcementMode(settings.enforcer, [...daemonSets.values()], own);
  }

  /** Pods of each tier by what its NetworkPolicies select, in all namespaces of the segment. */
  tierPods({ metadata, verdict }: SegmentPolicy): readonly { readonly name: string; readonly pods: number }[] {
    if (!verdict.accepted) return [];
    const { view, resolver } = this.#options;
    const parts = compile(metadata.name, verdict.spec, this.facts().facts);
    const namespaces = [...view.namespacesOf(metadata.name)];
    const podsOf = (part: string) =>
      namespaces.reduce((sum, namespace) => sum + resolver.selectedPods(namespace, part), 0);
    return verdict.spec.tiers.map(({ name }) => {
      const part = parts.find(({ tier }) => tier === name);
      return { name, pods: part === undefined ? 0 : podsOf(part.name) };
    });
  }
}
