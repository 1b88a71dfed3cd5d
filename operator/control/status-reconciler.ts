import { canonicalJson } from "../api/canonical-json.ts";
import type { GenerationMark } from "../api/node-state.ts";
import type { SegmentNodeReport } from "../api/segment-node-parser.ts";
import type { SegmentPolicy, SegmentPolicyStatus } from "../api/segment-policy.ts";
import type { Node } from "../api/workload.ts";
import { judgeEnforcement, type Enforcement, type Grace, type NodeEvidence } from "../status/enforcement.ts";
import { policyStatus, type Outcome } from "../status/policy-status.ts";
import type { Surveyed } from "./segment-surveyor.ts";

/** What the status of a SegmentPolicy is made from, beside the outcome of its last reconcile. */
export interface StatusSources {
  readonly segmentPolicies: ReadonlyMap<string, SegmentPolicy>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly segmentNodes: ReadonlyMap<string, SegmentNodeReport>;
  /** By node with pods of the segment, what its enforcer has to confirm. */
  expectedConfirmations(policy: string): ReadonlyMap<string, GenerationMark>;
  /** What the segment's pods and other NetworkPolicies mean for it. */
  survey(policy: SegmentPolicy): Surveyed;
  /** Whether our own enforcers hold the policies; `false` = the CNI does. */
  managed(): boolean;
}

export interface StatusSink {
  /** Server-side apply of the status. @throws ApiError */
  write(policy: SegmentPolicy, status: SegmentPolicyStatus): Promise<void>;
  changed(policy: SegmentPolicy, status: SegmentPolicyStatus): void;
}

/** Statuses of one object are this far apart, however fast things change. */
const WRITE_INTERVAL_MS = 1_000;
/** An in-between state is written only if it lasts: most roll-outs are done before. */
const SETTLE_MS = 1_000;
/** Pod counts are looked at again this often. */
const REFRESH_MS = 30_000;

/** Writes `status` of one SegmentPolicy when it changed. Run by the leader alone. */
export class StatusReconciler {
  readonly #sources: StatusSources;
  readonly #sink: StatusSink;
  readonly #grace: Grace;
  readonly #now: () => number;
  readonly #outcomes = new Map<string, { readonly outcome: Outcome; readonly since: number }>();
  /** What we wrote last: the watch may not have shown it yet. */
  readonly #lastWrite = new Map<
    string,
    { readonly at: number; readonly status: SegmentPolicyStatus; readonly text: string }
  >();
  /** By policy and node: since when it owes a confirmation of which mark. */
  readonly #pending = new Map<string, Map<string, { readonly mark: string; readonly since: number }>>();

  constructor(deps: {
    readonly sources: StatusSources;
    readonly sink: StatusSink;
    readonly grace: Grace;
    readonly now: () => number;
  }) {
    this.#sources = deps.sources;
    this.#sink = deps.sink;
    this.#grace = deps.grace;
    this.#now = deps.now;
  }

  outcomeOf(name: string): Outcome | undefined {
    return this.#outcomes.get(name)?.outcome;
  }

  setOutcome(name: string, outcome: Outcome): void {
    const before = this.#outcomes.get(name);
    const since = before?.outcome.generation === outcome.generation ? before.since : this.#now();
    this.#outcomes.set(name, { outcome, since });
  }

  forget(name: string): void {
    for (const memory of [this.#outcomes, this.#lastWrite, this.#pending]) memory.delete(name);
  }

  /** @returns milliseconds after which to look again. @throws ApiError */
  async reconcile(name: string): Promise<number | undefined> {
    const observed = this.#sources.segmentPolicies.get(name);
    const known = this.#outcomes.get(name);
    if (observed === undefined || known === undefined || observed.metadata.deleting) return undefined;
    const last = this.#lastWrite.get(name);
    const policy = last === undefined ? observed : { ...observed, status: last.status };
    // The reconcile of this generation is still to come and will call again.
    if (known.outcome.generation !== policy.metadata.generation) return undefined;
    const now = this.#now();
    const enforcement = this.#sources.managed() ? this.#judge(policy, now) : undefined;
    const { againAfterMs, ...surveyed } = this.#sources.survey(policy);
    const status = policyStatus(
      policy,
      { outcome: known.outcome, enforcement, ...surveyed },
      new Date(now).toISOString().replace(/\.\d+Z$/, "Z"),
    );
    const text = canonicalJson(status);
    const lookAgain = Math.max(1, Math.min(againAfterMs ?? REFRESH_MS, (enforcement?.nextChangeAt ?? Infinity) - now));
    if (text === (last?.text ?? observed.statusText)) return lookAgain;
    const settled = status.conditions.every(({ type }) => type !== "Reconciling");
    const wait = Math.max((last?.at ?? -Infinity) + WRITE_INTERVAL_MS, settled ? 0 : known.since + SETTLE_MS) - now;
    if (wait > 0) return wait;
    await this.#sink.write(policy, status);
    this.#lastWrite.set(name, { at: now, status, text });
    this.#sink.changed(policy, status);
    return lookAgain;
  }

  #judge(policy: SegmentPolicy, now: number): Enforcement {
    const { name, generation } = policy.metadata;
    const expected = this.#sources.expectedConfirmations(name);
    const pending = this.#pending.get(name) ?? new Map<string, { mark: string; since: number }>();
    this.#pending.set(name, pending);
    for (const node of pending.keys()) {
      if (!expected.has(node)) pending.delete(node);
    }
    const evidence = [...expected].map(([node, mark]): NodeEvidence => {
      const text = `${mark.generation}/${mark.revision}`;
      const owed = pending.get(node);
      const since = owed?.mark === text ? owed.since : now;
      pending.set(node, { mark: text, since });
      const found = this.#sources.nodes.get(node);
      return {
        name: node,
        ready: found?.ready ?? false,
        createdAt: found?.createdAt ?? 0,
        expected: mark,
        report: this.#sources.segmentNodes.get(node),
        pendingSince: since,
      };
    });
    const before = policy.status.conditions.find(({ type }) => type === "Enforced");
    const wasEnforced = before?.status === "True" && before.observedGeneration === generation;
    return judgeEnforcement(name, evidence, wasEnforced, this.#grace, now);
  }
}
