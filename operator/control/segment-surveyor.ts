import { generatedFrom, type NetworkPolicy } from "../api/network-policy.ts";
import type { SegmentPolicy, SegmentPolicySpec } from "../api/segment-policy.ts";
import type { Namespace, Pod } from "../api/workload.ts";
import { compile } from "../compile/compile.ts";
import type { Facts } from "../compile/facts.ts";
import { segmentNamespaces } from "../compile/segment-namespaces.ts";
import type { ResolveProblem } from "../resolve/resolver.ts";
import type { SurveyedNamespace } from "../status/placed-pod.ts";
import { surveySegment, type SegmentSurvey } from "../status/segment-survey.ts";
import type { WarningInput } from "../status/warnings.ts";

/** What a look at a segment's namespaces has shown. */
export interface Surveyed extends Omit<WarningInput, "outcome"> {
  /** It was looked up a moment ago and may have changed since: when to ask again. */
  readonly againAfterMs: number | undefined;
}

export interface SegmentSurveyorDeps {
  readonly namespaces: ReadonlyMap<string, Namespace>;
  podsIn(namespace: string): Iterable<Pod>;
  policiesIn(namespace: string): readonly NetworkPolicy[];
  facts(): Facts;
  problems(): readonly ResolveProblem[];
  readonly excludedNamespaces: ReadonlySet<string>;
  readonly now: () => number;
}

/** A look costs as much as the segment has pods, and statuses of a large roll-out are asked for many times a second. */
const FRESH_MS = 1_000;
/** And in a segment of 100,000 pods one takes half a second: this many times as long passes before the next. */
const REST = 20;

const EMPTY: SegmentSurvey = {
  tiers: [],
  untieredPods: 0,
  quarantinedPods: 0,
  widenedBy: [],
  stillTalking: [],
  ownPods: [],
};

/** Looks at the pods and the other NetworkPolicies in a segment's namespaces, at most once a second. */
export class SegmentSurveyor {
  readonly #deps: SegmentSurveyorDeps;
  readonly #last = new Map<
    string,
    { readonly until: number; readonly generation: number; readonly seen: Omit<Surveyed, "againAfterMs"> }
  >();

  constructor(deps: SegmentSurveyorDeps) {
    this.#deps = deps;
  }

  survey({ metadata: { name, generation }, verdict }: SegmentPolicy): Surveyed {
    if (!verdict.accepted) return { survey: EMPTY, unreadable: [], addressless: [], againAfterMs: undefined };
    const now = this.#deps.now();
    const last = this.#last.get(name);
    if (last !== undefined && last.generation === generation && now < last.until) {
      return { ...last.seen, againAfterMs: last.until - now };
    }
    const seen = this.#look(name, verdict.spec);
    const done = this.#deps.now();
    this.#last.set(name, { until: done + Math.max(FRESH_MS, REST * (done - now)), generation, seen });
    return { ...seen, againAfterMs: undefined };
  }

  forget(name: string): void {
    this.#last.delete(name);
  }

  #look(name: string, spec: SegmentPolicySpec): Omit<Surveyed, "againAfterMs"> {
    const { podsIn, policiesIn, facts, problems, excludedNamespaces } = this.#deps;
    const matched = segmentNamespaces(spec, this.#deps.namespaces.values(), excludedNamespaces);
    const parts = compile(name, spec, facts()).filter(({ kind }) => kind !== "quarantine");
    const namespaces = matched.map((namespace): SurveyedNamespace => ({
      name: namespace.name,
      labels: namespace.labels,
      pods: [...podsIn(namespace.name)],
      others: policiesIn(namespace.name).filter((policy) => generatedFrom(policy) !== name),
    }));
    const names = new Set(namespaces.map((namespace) => namespace.name));
    const inside = problems().filter(({ object }) => names.has(object.slice(0, object.indexOf("/"))));
    const texts = (kind: ResolveProblem["kind"]) =>
      inside.filter((problem) => problem.kind === kind).map(({ object, message }) => `${kind} ${object}: ${message}`);
    return {
      survey: surveySegment(spec, parts.map((part) => part.spec), namespaces),
      unreadable: texts("NetworkPolicy"),
      addressless: texts("Pod"),
    };
  }
}
