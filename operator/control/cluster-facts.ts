import type { SegmentPolicy } from "../api/segment-policy.ts";
import type { Settings } from "../api/settings.ts";
import type { Facts } from "../compile/facts.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { ClusterWatch } from "./cluster-watch.ts";
import { ENFORCER_NAME } from "./enforcer-daemonset.ts";
import { enforcementMode, type EnforcementMode } from "./enforcement-mode.ts";
import { KnownFacts } from "./known-facts.ts";
import { SegmentSurveyor, type Surveyed } from "./segment-surveyor.ts";
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
  readonly #known: KnownFacts;
  readonly #surveyor: SegmentSurveyor;

  constructor(options: ClusterFactsOptions) {
    this.#options = options;
    const { watch, view, resolver, settings, namespace } = options;
    const sources = {
      clusterIPs: (service: string, name: string) => watch.clusterIPs(service, name),
      apiServer: () => watch.apiServer,
      nodes: watch.nodes.store,
    };
    this.#known = new KnownFacts({ sources, settings, namespace });
    this.#surveyor = new SegmentSurveyor({
      namespaces: watch.namespaces.store,
      podsIn: (name) => watch.podsByNamespace.in(name),
      policiesIn: (name) => view.observedIn(name),
      facts: () => this.facts(),
      problems: () => resolver.problems(),
      excludedNamespaces: new Set([...settings.excludedNamespaces, namespace]),
      now: () => performance.now(),
    });
  }

  /** What compile needs beside a spec. */
  facts(): Facts {
    return this.#known.facts();
  }

  mode(): EnforcementMode {
    const { settings, watch, namespace } = this.#options;
    const daemonSets = watch.daemonSets.store;
    const own = daemonSets.has(`${namespace}/${ENFORCER_NAME}`);
    return enforcementMode(settings.enforcer, [...daemonSets.values()], own);
  }

  /** What is to be said of a segment's pods and of others' NetworkPolicies on them. */
  survey(policy: SegmentPolicy): Surveyed {
    return this.#surveyor.survey(policy);
  }

  /** The SegmentPolicy is gone. */
  forget(policy: string): void {
    this.#surveyor.forget(policy);
  }
}
