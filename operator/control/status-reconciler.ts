import { canonicalJson } from "../api/canonical-json.ts";
import { timeText } from "../api/condition.ts";
import type { GenerationMark } from "../api/node-state.ts";
import type { SegmentNodeReport } from "../api/segment-node-parser.ts";
import type { SegmentPolicy, SegmentPolicyStatus } from "../api/segment-policy.ts";
import type { Node } from "../api/workload.ts";
import { isNewer } from "../kube/object-store.ts";
import { judgeEnforcement, type Enforcement, type Grace, type NodeEvidence } from "../status/enforcement.ts";
import { AUDITING } from "../status/audit-status.ts";
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
  /** Server-side apply of the status. @returns the object as it is then. @throws ApiError */
  write(policy: SegmentPolicy, status: SegmentPolicyStatus): Promise<SegmentPolicy>;
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
  readonly #monotonic: () => number;
  /** `since`, on the clock that never goes back: the generation's first. */
  readonly #outcomes = new Map<string, { readonly uid: string; readonly outcome: Outcome; readonly since: number }>();
  /** What we wrote last, on the same clock, and what the object was then: the watch may not have shown it yet. */
  readonly #lastWrite = new Map<
    string,
    { readonly uid: string; readonly at: number; readonly text: string; readonly answer: SegmentPolicy }
  >();
  /** By policy and node: since when it owes a confirmation of which mark. */
  readonly #pending = new Map<string, Map<string, { readonly mark: string; readonly since: number }>>();

  constructor(deps: {
    readonly sources: StatusSources;
    readonly sink: StatusSink;
    readonly grace: Grace;
    /** The wall clock, for what is written and compared with what others wrote. Milliseconds since the epoch. */
    readonly now: () => number;
    /** Milliseconds that never go back. */
    readonly monotonic: () => number;
  }) {
    this.#sources = deps.sources;
    this.#sink = deps.sink;
    this.#grace = deps.grace;
    this.#now = deps.now;
    this.#monotonic = deps.monotonic;
  }

  outcomeOf(name: string): Outcome | undefined {
    return this.#outcomes.get(name)?.outcome;
  }

  /** Takes what the reconcile of `policy` came to. */
  setOutcome({ metadata: { name, uid } }: SegmentPolicy, outcome: Outcome): void {
    // Deleted and made anew, an object has the same name and generation, and is another all the same.
    const before = this.#outcomes.get(name);
    const same = before?.uid === uid && before.outcome.generation === outcome.generation;
    this.#outcomes.set(name, { uid, outcome, since: same ? before.since : this.#monotonic() });
  }

  forget(name: string): void {
    for (const memory of [this.#outcomes, this.#lastWrite, this.#pending]) memory.delete(name);
  }

  /** @returns milliseconds after which to look again. @throws ApiError */
  async reconcile(name: string): Promise<number | undefined> {
    const observed = this.#sources.segmentPolicies.get(name);
    const known = this.#outcomes.get(name);
    if (observed === undefined || known === undefined || observed.metadata.deleting) return undefined;
    const { uid, generation } = observed.metadata;
    // The reconcile of this generation is still to come and will call again.
    if (known.uid !== uid || known.outcome.generation !== generation) return undefined;
    const written = this.#lastWrite.get(name);
    const last = written?.uid === uid ? written : undefined;
    // What the watch shows after our write is perhaps another leader's: then that is what there is.
    const ahead = last !== undefined && isNewer(last.answer.metadata.resourceVersion, observed.metadata.resourceVersion);
    const { status: before, statusText } = ahead ? last.answer : observed;
    const policy = { ...observed, status: before };
    const now = this.#now();
    const enforcement = this.#sources.managed() ? this.#judge(policy, now) : undefined;
    const { againAfterMs, ...surveyed } = this.#sources.survey(policy);
    const status = policyStatus(policy, { outcome: known.outcome, enforcement, ...surveyed }, timeText(now));
    const text = canonicalJson(status);
    const lookAgain = Math.max(1, Math.min(againAfterMs ?? REFRESH_MS, (enforcement?.nextChangeAt ?? Infinity) - now));
    // A stranger's condition stays beside ours: what this text was stored as is not written again either.
    if (text === statusText || (text === last?.text && statusText === last.answer.statusText)) return lookAgain;
    const settled = status.conditions.every(({ type }) => type !== "Reconciling");
    const earliest = settled ? -Infinity : known.since + SETTLE_MS;
    const wait = Math.max((last?.at ?? -Infinity) + WRITE_INTERVAL_MS, earliest) - this.#monotonic();
    if (wait > 0) return wait;
    const answer = await this.#sink.write(policy, status);
    // From the answer on: one that was long on its way must not come close before the next.
    this.#lastWrite.set(name, { uid, at: this.#monotonic(), text, answer });
    this.#sink.changed(policy, status);
    return lookAgain;
  }

  #judge(policy: SegmentPolicy, now: number): Enforcement {
    const { name, uid, generation } = policy.metadata;
    const expected = this.#sources.expectedConfirmations(name);
    const pending = this.#pending.get(name) ?? new Map<string, { mark: string; since: number }>();
    this.#pending.set(name, pending);
    for (const node of pending.keys()) {
      if (!expected.has(node)) pending.delete(node);
    }
    const evidence = [...expected].map(([node, mark]): NodeEvidence => {
      const text = `${uid}/${mark.generation}/${mark.revision}`;
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
    const held = before?.status === "True" || before?.reason === AUDITING;
    const wasEnforced = held && before.observedGeneration === generation;
    return judgeEnforcement(name, evidence, wasEnforced, this.#grace, now);
  }
}
