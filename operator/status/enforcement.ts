import { timeText } from "../api/condition.ts";
import { compare } from "../api/label-selector.ts";
import type { GenerationMark } from "../api/node-state.ts";
import type { NodeSummary } from "../api/segment-policy.ts";
import type { SegmentNodeReport } from "../api/segment-node-parser.ts";

/** What is known of one node that has pods of the segment. */
export interface NodeEvidence {
  readonly name: string;
  /** The Node object says Ready; `false` also for a node that is gone. */
  readonly ready: boolean;
  /** Milliseconds since the epoch, of the Node object. */
  readonly createdAt: number;
  /** What its enforcer has to confirm. */
  readonly expected: GenerationMark;
  readonly report: SegmentNodeReport | undefined;
  /** When it first owed a confirmation that it has not given; milliseconds since the epoch. */
  readonly pendingSince: number;
}

export interface Grace {
  /** Time for a newcomer to confirm before a segment that was enforced counts as degraded. Milliseconds. */
  readonly newcomerMs: number;
  /** The same for a Node that has just joined. Milliseconds. */
  readonly newNodeMs: number;
}

export interface Enforcement {
  readonly nodes: NodeSummary;
  /** Nodes that report a failure, or owe a confirmation for longer than their grace. */
  readonly degraded: boolean;
  /** Every node that can answer has confirmed, newcomers within their grace excepted. */
  readonly enforced: boolean;
  /** When the verdict changes by the passing of time alone; milliseconds since the epoch. */
  readonly nextChangeAt: number | undefined;
}

type NodeVerdict =
  | { readonly state: "enforced" | "unreachable"; readonly name: string; readonly reason: string }
  | { readonly state: "pending"; readonly name: string; readonly reason: string; readonly until: number }
  | { readonly state: "failing"; readonly name: string; readonly reason: string };

const MOST_NAMED = 5;

/**
 * Whether a segment's rules are in force on the nodes that have its pods. `wasEnforced` = they have been for this
 * generation: from then on a newcomer has its grace before the verdict turns.
 */
export function judgeEnforcement(
  policy: string,
  evidence: readonly NodeEvidence[],
  wasEnforced: boolean,
  grace: Grace,
  now: number,
): Enforcement {
  const verdicts = evidence.map((node) => judgeNode(policy, node, grace, now));
  const count = (state: NodeVerdict["state"]) => verdicts.filter((verdict) => verdict.state === state).length;
  const pending = verdicts.filter((verdict) => verdict.state === "pending");
  const [enforced, unreachable, failing] = [count("enforced"), count("unreachable"), count("failing")];
  const named = verdicts
    .filter(({ state }) => state === "failing" || state === "unreachable")
    .toSorted((a, b) => compare(a.state, b.state) || compare(a.name, b.name))
    .slice(0, MOST_NAMED)
    .map(({ name, reason }) => ({ name, reason }));
  return {
    nodes: {
      desired: evidence.length,
      enforced,
      pending: pending.length,
      unreachable,
      summary: `${enforced}/${evidence.length}`,
      failing: named,
    },
    degraded: failing > 0,
    enforced: failing === 0 && (pending.length === 0 || wasEnforced),
    nextChangeAt: pending.length === 0 ? undefined : Math.min(...pending.map(({ until }) => until)),
  };
}

function judgeNode(policy: string, node: NodeEvidence, grace: Grace, now: number): NodeVerdict {
  const { name, ready, expected, report, createdAt, pendingSince } = node;
  const confirmed = report?.status.policies.find((entry) => entry.name === policy);
  if (
    confirmed?.state === "Enforced" &&
    confirmed.generation === expected.generation &&
    confirmed.revision === expected.revision
  ) {
    return { state: "enforced", name, reason: "" };
  }
  // A node that cannot answer still forwards by the rules it last had: said, but not waited for.
  if (!ready) {
    const last = confirmed === undefined ? "never confirmed" : `last confirmed generation ${confirmed.generation}`;
    return { state: "unreachable", name, reason: `node is not ready; ${last}` };
  }
  if (confirmed?.state === "Failed") return { state: "failing", name, reason: confirmed.message };
  const health = report?.status.conditions.find(({ type }) => type === "Ready");
  if (health?.status === "False") return { state: "failing", name, reason: `${health.reason}: ${health.message}` };
  const until = Math.max(pendingSince + grace.newcomerMs, createdAt + grace.newNodeMs);
  if (now >= until) {
    // A time that stands still: a length would make each look at each such policy a write.
    const reason = `has not confirmed generation ${expected.generation}, due since ${timeText(pendingSince)}`;
    return { state: "failing", name, reason };
  }
  return { state: "pending", name, reason: "not confirmed yet", until };
}
