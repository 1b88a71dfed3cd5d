import { canonicalJson } from "../api/canonical-json.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import type { SegmentPolicy, SegmentPolicySpec } from "../api/segment-policy.ts";
import type { Namespace } from "../api/workload.ts";
import { compile } from "../compile/compile.ts";
import type { Facts } from "../compile/facts.ts";
import { holdLive } from "../compile/held-rules.ts";
import { partsIn, type Part } from "../compile/part.ts";
import { controllerOf, isOurs, leavingOf, plan, removal, type Owner, type Plan } from "../compile/plan.ts";
import { segmentNamespaces } from "../compile/segment-namespaces.ts";
import { wouldBe } from "../compile/would-be.ts";
import type { Result } from "../kube/work-queue.ts";
import type { Outcome } from "../status/policy-status.ts";
import { Departures } from "./departures.ts";
import { NamespaceWrites, type NamespaceWork, type WriteResult } from "./namespace-writes.ts";
import type { NetworkPolicyWriter } from "./network-policy-writer.ts";
import { refused, shortcomings } from "./outcomes.ts";
import type { PolicyView } from "./policy-view.ts";

/** What is known of the cluster, kept current by the reflectors. */
export interface ClusterView {
  readonly segmentPolicies: ReadonlyMap<string, SegmentPolicy>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly networkPolicies: PolicyView;
  facts(): Facts;
}

/** Where a reconcile says what it found. */
export interface ReconcileSink {
  /** Generation `generation` is wholly in the observed NetworkPolicies; `undefined`: the segment is gone. */
  generation(name: string, generation: number | undefined): void;
  /** From now on nothing generated from `name` counts, whatever objects are left (`false` ends it). */
  retired(name: string, retired: boolean): void;
  /** What `name`, in mode Audit, would write; in place of what was said before. */
  audit(name: string, policies: readonly NetworkPolicy[]): void;
  outcome(policy: SegmentPolicy, outcome: Outcome): void;
  forgotten(name: string): void;
  driftCorrected(policy: SegmentPolicy, namespace: string, names: readonly string[]): void;
}

/** Some namespaces could not be brought into line. The queue tries again, later each time. */
export class ReconcileError extends Error {
  constructor(name: string, { failures, cause }: WriteResult) {
    super(`SegmentPolicy ${name}: ${failures.map(({ namespace, message }) => `${namespace}: ${message}`).join("; ")}`, {
      cause,
    });
    this.name = "ReconcileError";
  }
}

type NamespacePlan = NamespaceWork & Plan;
/** An outcome, but for what the SegmentPolicy and its writes say themselves. */
type Found = Omit<Outcome, "generation" | "suspended" | "failures">;

/**
 * Brings the NetworkPolicies of one SegmentPolicy into line with it. Every replica runs it, to know which generation is
 * in place; only the leader writes.
 */
export class SegmentPolicyReconciler {
  readonly #cluster: ClusterView;
  readonly #writes: NamespaceWrites;
  readonly #sink: ReconcileSink;
  readonly #excluded: ReadonlySet<string>;
  readonly #isLeader: () => boolean;
  readonly #departures: Departures;
  /** What was last seen complete: a difference without a new wish is drift. */
  readonly #settled = new Map<string, { readonly wish: string; readonly namespaces: ReadonlySet<string> }>();
  /** Deleted with `orphan`: what was generated is to stay, also when the watch of NetworkPolicies lags behind. */
  readonly #orphaned = new Set<string>();

  constructor(deps: {
    readonly cluster: ClusterView;
    readonly writer: NetworkPolicyWriter;
    readonly sink: ReconcileSink;
    readonly excludedNamespaces: ReadonlySet<string>;
    readonly isLeader: () => boolean;
    /** Milliseconds that never go back. */
    readonly monotonic: () => number;
  }) {
    this.#cluster = deps.cluster;
    this.#sink = deps.sink;
    this.#excluded = deps.excludedNamespaces;
    this.#isLeader = deps.isLeader;
    const view = deps.cluster.networkPolicies;
    this.#writes = new NamespaceWrites({ ...deps, view, isLive: (namespace) => this.#isLive(namespace) });
    this.#departures = new Departures(deps.monotonic);
  }

  /**
   * NetworkPolicies alone do not say what is audited, nor that they count no more since their SegmentPolicy is gone or
   * going: SegmentPolicies are read before the first node is told anything.
   */
  prepare(name: string): void {
    const policy = this.#cluster.segmentPolicies.get(name);
    if (policy === undefined || policy.metadata.deleting) this.#leave(name, policy);
    else if (policy.verdict.accepted && policy.verdict.spec.mode === "Audit") this.#handOver(name, policy.verdict.spec);
  }

  /** @throws ReconcileError when a write failed and is to be tried again */
  async reconcile(name: string): Promise<Result> {
    const policy = this.#cluster.segmentPolicies.get(name);
    if (policy === undefined || policy.metadata.deleting) return this.#retire(name, policy);
    this.#orphaned.delete(name);
    if (!policy.verdict.accepted) {
      this.#sink.outcome(policy, refused(policy));
      return {};
    }
    const { spec } = policy.verdict;
    return spec.mode === "Audit" ? this.#audit(policy, spec) : this.#hold(policy, spec);
  }

  async #hold(policy: SegmentPolicy, spec: SegmentPolicySpec): Promise<Result> {
    const { name, uid, generation } = policy.metadata;
    const owner: Owner = { name, uid };
    const parts = compile(name, spec, this.#cluster.facts());
    const view = this.#cluster.networkPolicies;
    const matched = this.#matching(spec, parts);
    const left = [...view.namespacesOf(name)].filter((namespace) => !matched.has(namespace) && this.#isLive(namespace));
    const planAll = (read: (namespace: string) => readonly NetworkPolicy[]): readonly NamespacePlan[] =>
      [...matched.keys(), ...left].map((namespace) => {
        const live = read(namespace);
        const named = new Map(live.map((policy) => [policy.metadata.name, policy]));
        const wanted = (matched.get(namespace) ?? []).map((part) => holdLive(part, named.get(part.name)));
        return { namespace, ...plan(owner, wanted, live) };
      });
    const planObserved = () => planAll((namespace) => view.observedIn(namespace));
    this.#comeBack(name, spec, planObserved);
    const plans = planAll((namespace) => view.currentIn(namespace));
    // In the same turn as the reading: a stranger's object that goes from now on brings us back.
    view.contest(name, namesOf(plans, "conflicts"));
    if (!spec.suspend) this.#reportDrift(policy, parts, plans);
    const written = await this.#writes.execute(spec.suspend ? [] : plans, owner);
    // Judged by what the watch has shown, not by what we have just written: the stream is computed from the former.
    const observed = planObserved();
    const requeueAfterMs = this.#comeBack(name, spec, () => observed);
    const conflicts = namesOf(observed, "conflicts");
    view.contest(name, conflicts);
    const complete = new Set(observed.filter(isComplete).map(({ namespace }) => namespace));
    const placed = complete.size === observed.length;
    if (placed) {
      this.#settled.set(name, { wish: canonicalJson(parts), namespaces: complete });
      this.#sink.generation(name, generation);
    }
    // Where it was audited before, it is until the real ones are in place.
    if (placed || spec.suspend) this.#sink.audit(name, []);
    const applied = [...matched.keys()].filter((namespace) => complete.has(namespace)).length;
    const networkPolicies = [...matched.values()].reduce((sum, wanted) => sum + wanted.length, 0);
    const namespaces = { matched: matched.size, applied };
    const found = { namespaces, networkPolicies, placed, conflicts, leaving: namesOf(observed, "leaving") };
    this.#conclude(policy, { ...found, ...shortcomings(spec, parts) }, written);
    return requeueAfterMs > 0 ? { requeueAfterMs } : {};
  }

  /** Mode Audit: what there is of it goes as in a deletion, and the nodes are told what there would be. */
  async #audit(policy: SegmentPolicy, spec: SegmentPolicySpec): Promise<Result> {
    const { name, uid, generation } = policy.metadata;
    const view = this.#cluster.networkPolicies;
    const parts = this.#handOver(name, spec);
    const matched = [...this.#matching(spec, parts).keys()];
    view.concern(name, matched);
    view.contest(name, []);
    const planAll = (read: (namespace: string) => readonly NetworkPolicy[]): readonly NamespacePlan[] =>
      [...view.namespacesOf(name)].filter((namespace) => this.#isLive(namespace)).map((namespace) => {
        const ours = read(namespace).filter((found) => isOurs(found, { name }));
        return { namespace, steps: removal(ours), conflicts: [], leaving: leavingOf(ours) };
      });
    const plans = planAll((namespace) => view.currentIn(namespace));
    if (!spec.suspend) this.#reportDrift(policy, [], plans);
    const written = await this.#writes.execute(spec.suspend ? [] : plans, { name, uid });
    const observed = planAll((namespace) => view.observedIn(namespace));
    const left = new Set(observed.filter((plan) => !isComplete(plan)).map(({ namespace }) => namespace));
    const placed = left.size === 0;
    if (placed) {
      this.#settled.set(name, { wish: canonicalJson([]), namespaces: new Set(matched) });
      this.#sink.generation(name, generation);
    }
    const applied = matched.filter((namespace) => !left.has(namespace)).length;
    const namespaces = { matched: matched.length, applied };
    const found = { namespaces, networkPolicies: 0, placed, conflicts: [], leaving: namesOf(observed, "leaving") };
    this.#conclude(policy, { ...found, ...shortcomings(spec, parts) }, written);
    return {};
  }

  /** Says what a reconcile came to. @throws ReconcileError when a write failed */
  #conclude(policy: SegmentPolicy, found: Found, written: WriteResult): void {
    const { metadata: { name, generation }, verdict } = policy;
    const suspended = verdict.accepted && verdict.spec.suspend;
    this.#sink.outcome(policy, { ...found, generation, suspended, failures: written.failures });
    if (written.failures.length > 0) throw new ReconcileError(name, written);
  }

  /**
   * From now on nothing that is left of it counts, all at once, and what would be is audited instead: in namespaces
   * that are going too, while pods run there.
   */
  #handOver(name: string, spec: SegmentPolicySpec): readonly Part[] {
    const parts = compile(name, spec, this.#cluster.facts());
    const namespaces = segmentNamespaces(spec, this.#cluster.namespaces.values(), this.#excluded);
    // Suspended: what is live stays, and so it counts.
    this.#sink.retired(name, !spec.suspend);
    if (spec.suspend) this.#departures.end(name);
    else this.#departures.leave(name);
    this.#sink.audit(name, wouldBe({ name }, parts, namespaces));
    return parts;
  }

  /** @returns milliseconds for which what is left of it does not count yet */
  #comeBack(name: string, { suspend }: SegmentPolicySpec, observed: () => readonly NamespacePlan[]): number {
    const { networkPolicies: view } = this.#cluster;
    const outdated = () =>
      !suspend && observed().some((plan) => isOutdated(plan, view.observedIn(plan.namespace)));
    const wait = this.#departures.comeBack(name, outdated);
    this.#sink.retired(name, wait > 0);
    return wait;
  }

  /** Takes away what was generated from a SegmentPolicy that is gone or going, unless it is to be orphaned. */
  async #retire(name: string, policy: SegmentPolicy | undefined): Promise<Result> {
    const { left, shown } = this.#leave(name, policy);
    if (policy === undefined) this.#sink.forgotten(name);
    const removals = left.map(({ namespace, policies }) => ({ namespace, steps: removal(policies) }));
    const written = await this.#writes.execute(removals, { name, uid: policy?.metadata.uid ?? "" });
    if (written.failures.length > 0) throw new ReconcileError(name, written);
    if (policy === undefined && left.length === 0 && shown.length === 0) this.#cluster.networkPolicies.forget(name);
    return {};
  }

  /** What is left of it, in both readings, and from now on does not count. */
  #leave(name: string, policy: SegmentPolicy | undefined) {
    if (policy?.finalizers.includes("orphan") === true) this.#orphaned.add(name);
    const keep = this.#orphaned.has(name);
    const view = this.#cluster.networkPolicies;
    this.#settled.delete(name);
    view.contest(name, []);
    // What was orphaned earlier has no owner any more, and stays.
    const isLeft = (found: NetworkPolicy) => isOurs(found, { name }) && controllerOf(found.metadata) === name;
    const leftIn = (read: (namespace: string) => readonly NetworkPolicy[]) =>
      (keep ? [] : [...view.namespacesOf(name)])
        .map((namespace) => ({ namespace, policies: read(namespace).filter(isLeft) }))
        .filter(({ policies }) => policies.length > 0);
    const left = leftIn((namespace) => view.currentIn(namespace));
    this.#sink.generation(name, undefined);
    this.#sink.audit(name, []);
    // All parts leave the nodes in one batch, in whatever order the objects go, and until the watch has shown the last.
    const shown = leftIn((namespace) => view.observedIn(namespace));
    const leaving = !keep && (left.length > 0 || shown.length > 0 || policy !== undefined);
    this.#sink.retired(name, leaving);
    if (leaving) this.#departures.leave(name);
    else this.#departures.end(name);
    return { left, shown };
  }

  /** By namespace of the segment, the parts that live in it. */
  #matching(spec: SegmentPolicySpec, parts: readonly Part[]): ReadonlyMap<string, readonly Part[]> {
    const matched = segmentNamespaces(spec, this.#cluster.namespaces.values(), this.#excluded).filter(
      ({ terminating }) => !terminating,
    );
    return new Map(matched.map(({ name, labels }) => [name, partsIn(parts, labels)]));
  }

  #isLive(namespace: string): boolean {
    return this.#cluster.namespaces.get(namespace)?.terminating === false;
  }

  #reportDrift(policy: SegmentPolicy, parts: readonly Part[], plans: readonly NamespacePlan[]): void {
    if (!this.#isLeader()) return;
    const settled = this.#settled.get(policy.metadata.name);
    if (settled?.wish !== canonicalJson(parts)) return;
    for (const { namespace, steps } of plans) {
      if (steps.length === 0 || !settled.namespaces.has(namespace)) continue;
      const names = steps.map((step) => (step.action === "delete" ? step.name : step.part.name));
      this.#sink.driftCorrected(policy, namespace, names);
    }
  }
}

/** Whether objects are left that say something else than they should. Others may own them still, or be missing. */
function isOutdated({ steps, leaving }: Plan, live: readonly NetworkPolicy[]): boolean {
  if (leaving.length > 0) return true;
  const specs = new Map(live.map(({ metadata, spec }) => [metadata.name, spec]));
  return steps.some((step) => {
    if (step.action !== "update") return step.action === "delete";
    const spec = specs.get(step.part.name);
    return spec !== undefined && canonicalJson(spec) !== canonicalJson(step.part.spec);
  });
}

function isComplete({ steps, conflicts, leaving }: Plan): boolean {
  return steps.length === 0 && conflicts.length === 0 && leaving.length === 0;
}

/** `<namespace>/<name>` of each. */
function namesOf(plans: readonly NamespacePlan[], kind: "conflicts" | "leaving"): readonly string[] {
  return plans.flatMap((plan) => plan[kind].map((name) => `${plan.namespace}/${name}`));
}
