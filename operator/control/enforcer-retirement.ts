import type { SegmentNodeReport } from "../api/segment-node-parser.ts";
import type { Pod } from "../api/workload.ts";
import { ENFORCER_POD_LABELS } from "./enforcer-daemonset.ts";

export interface EnforcerRetirementOptions {
  /** The operator's own, where the enforcers are. */
  readonly namespace: string;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly segmentNodes: ReadonlyMap<string, SegmentNodeReport>;
  /** How long the enforcers may take. Milliseconds. */
  readonly limitMs: number;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
}

/** Nodes whose enforcers have not said yet that they are clear, and whether they have had their time. */
export interface Awaited {
  readonly nodes: readonly string[];
  readonly overdue: boolean;
}

/** The time between "no enforcers any more" and the end of their pods, in which they clear their nodes. */
export class EnforcerRetirement {
  readonly #options: EnforcerRetirementOptions;
  #since: number | undefined;

  constructor(options: EnforcerRetirementOptions) {
    this.#options = options;
  }

  /** From the first call on the time runs. */
  awaited(): Awaited {
    const { limitMs, monotonic } = this.#options;
    this.#since ??= monotonic();
    return { nodes: this.#nodes(), overdue: monotonic() - this.#since >= limitMs };
  }

  /** It is over, or called off. */
  reset(): void {
    this.#since = undefined;
  }

  #nodes(): readonly string[] {
    const { namespace, pods, segmentNodes } = this.#options;
    const nodes = new Set<string>();
    for (const pod of pods.values()) {
      if (pod.namespace !== namespace || pod.nodeName === "" || pod.finished || !isEnforcer(pod)) continue;
      if (!hasRetired(segmentNodes.get(pod.nodeName))) nodes.add(pod.nodeName);
    }
    return [...nodes].toSorted();
  }
}

/** Whether its labels are those of the DaemonSet's pods. */
export function isEnforcer({ labels }: Pick<Pod, "labels">): boolean {
  return Object.entries(ENFORCER_POD_LABELS).every(([key, value]) => labels[key] === value);
}

function hasRetired(report: SegmentNodeReport | undefined): boolean {
  const ready = report?.status.conditions.find(({ type }) => type === "Ready");
  return ready?.status === "False" && ready.reason === "Retired";
}
