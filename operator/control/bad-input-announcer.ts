import type { NetworkPolicy } from "../api/network-policy.ts";
import type { Namespace, Pod } from "../api/workload.ts";
import type { EventRecorder, Occurrence } from "../kube/events.ts";
import type { ResolveProblem } from "../resolve/resolver.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface BadInputAnnouncerDeps {
  problems(): readonly ResolveProblem[];
  readonly networkPolicies: ReadonlyMap<string, NetworkPolicy>;
  readonly pods: ReadonlyMap<string, Pod>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly events: Pick<EventRecorder, "record">;
  readonly log: Pick<Logger, "warn">;
  /** Whether it is this replica that tells, and our enforcers that hold those objects. */
  readonly active: () => boolean;
}

/** How long a problem has to stand: while pods hand an address on, two may have it for a moment. */
export const LOOK_INTERVAL_MS = 5_000;
/** In one look. Of hundreds of problems at once each is told in its turn, and the API server is not flooded. */
const MOST_AT_ONCE = 20;

type Told = Pick<Occurrence, "regarding" | "reason" | "message">;

/**
 * Tells what is wrong with NetworkPolicies and pods of users, by a log line and an Event on each: with `enforce: All`
 * they count in namespaces of no SegmentPolicy too, whose status could say it. Once, and not again while it stays; what
 * has been told is known to this process alone, so a new leader tells what stands once more.
 */
export class BadInputAnnouncer {
  readonly #deps: BadInputAnnouncerDeps;
  #seen: ReadonlySet<string> = new Set();
  #told: ReadonlySet<string> = new Set();

  constructor(deps: BadInputAnnouncerDeps) {
    this.#deps = deps;
  }

  /** To be called every `LOOK_INTERVAL_MS`. */
  look(): void {
    const { problems, active, events, log } = this.#deps;
    const standing = new Map(
      problems().flatMap((problem) => {
        const told = this.#tellable(problem);
        return told === undefined ? [] : [[JSON.stringify([told.regarding.uid, told.message]), told] as const];
      }),
    );
    const told = this.#told.intersection(standing);
    const due = active() ? [...standing].filter(([key]) => this.#seen.has(key) && !told.has(key)) : [];
    for (const [key, { regarding, reason, message }] of due.slice(0, MOST_AT_ONCE)) {
      told.add(key);
      const { kind, namespace, name } = regarding;
      log.warn("an object is not understood or contradicts another one", { kind, namespace, name, problem: message });
      events.record({ regarding, type: "Warning", reason, message });
    }
    const waiting = due.length - MOST_AT_ONCE;
    if (waiting > 0) log.warn("more such objects will be told one after the other", { objects: waiting });
    this.#seen = new Set(standing.keys());
    this.#told = told;
  }

  /** `undefined` = it is no object that there is, or nothing can be written about it any more. */
  #tellable({ kind, object, message }: ResolveProblem): Told | undefined {
    const { networkPolicies, pods, namespaces } = this.#deps;
    const found = kind === "Pod" ? pods.get(object) : networkPolicies.get(object)?.metadata;
    if (found === undefined || namespaces.get(found.namespace)?.terminating !== false) return undefined;
    const { namespace, name, uid } = found;
    return kind === "Pod"
      ? { regarding: { apiVersion: "v1", kind, namespace, name, uid }, reason: "UnusableAddress", message }
      : {
        regarding: { apiVersion: "networking.k8s.io/v1", kind, namespace, name, uid },
        reason: "UnreadableNetworkPolicy",
        message,
      };
  }
}
