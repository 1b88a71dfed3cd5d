import type { LocalPod, PodAudit } from "../../api/node-state.ts";
import type { Direction } from "../../api/network-policy.ts";
import type { LeafGroup } from "./buckets.ts";
import { Buckets } from "./buckets.ts";
import type { ClassRound } from "./class-cache.ts";
import type { Family } from "./family.ts";
import { ADDRESS_BITS } from "./family.ts";
import type { Leaf } from "./leaf.ts";
import type { LayoutOptions } from "./options.ts";
import type { ChainName, Rule } from "./rule.ts";
import { jump, log, RETURN, rule } from "./rule.ts";
import { contentName } from "./ruleset.ts";
import { AUDIT_EGRESS_CHAIN, AUDIT_INGRESS_CHAIN } from "./skeleton.ts";

/** What a would-be drop is counted for. */
export interface AuditSubject {
  /** The SegmentPolicy's name. */
  readonly policy: string;
  /** `""` = the pod is in none of its tiers. */
  readonly tier: string;
  readonly direction: Direction;
}

/** Where the would-be drops of a subject are counted and logged. */
export function recordChain({ policy, tier, direction }: AuditSubject): ChainName {
  return contentName("AR", [policy, tier, direction]) as ChainName;
}

/** What the record chains for these pods stand for. */
export function auditSubjects(pods: Iterable<LocalPod>): ReadonlyMap<ChainName, AuditSubject> {
  const subjects = new Map<ChainName, AuditSubject>();
  for (const { audits = [] } of pods) {
    for (const audit of audits) {
      for (const direction of DIRECTIONS.filter((each) => policiesOf(audit, each).length > 0)) {
        const subject = { policy: audit.policy, tier: audit.tier, direction };
        subjects.set(recordChain(subject), subject);
      }
    }
  }
  return subjects;
}

const DIRECTIONS: readonly Direction[] = ["Egress", "Ingress"];

/** Whether any pod of the node is audited for `direction`. */
export function isAudited({ audits = [] }: LocalPod, direction: Direction): boolean {
  return audits.some((audit) => policiesOf(audit, direction).length > 0);
}

/** One direction's way from a packet that enforcement let through to what audits say of it. Nothing is dropped. */
export class AuditForks {
  readonly #direction: Direction;
  readonly #family: Family;
  readonly #side: "source" | "destination";
  readonly #buckets: Buckets;

  constructor(direction: Direction, family: Family) {
    const ingress = direction === "Ingress";
    this.#direction = direction;
    this.#family = family;
    this.#side = ingress ? "destination" : "source";
    this.#buckets = new Buckets({
      side: this.#side,
      entry: ingress ? AUDIT_INGRESS_CHAIN : AUDIT_EGRESS_CHAIN,
      label: ingress ? "AI-" : "AE-",
      closing: [],
    });
  }

  /** @param groups of all leaves, at least one of them audited */
  chains(groups: readonly LeafGroup[], classes: ClassRound): ReadonlyMap<ChainName, readonly Rule[]> {
    return this.#buckets.chains(groups, (leaf) => this.#leaf(leaf, classes));
  }

  /** Every audit is asked: jumps, which come back. */
  #leaf({ address, pod: { audits = [] } }: Leaf, classes: ClassRound): readonly Rule[] {
    const net = `${address}/${ADDRESS_BITS[this.#family]}`;
    const asked = audits.flatMap((audit) => {
      const policies = policiesOf(audit, this.#direction);
      const end = recordChain({ policy: audit.policy, tier: audit.tier, direction: this.#direction });
      return policies.length === 0 ? [] : [rule([{ kind: this.#side, net }], jump(classes.of(policies, end)))];
    });
    if (asked.length === 0) return [];
    // A pod that talks to itself is never dropped.
    return [rule([{ kind: "source", net }, { kind: "destination", net }], RETURN), ...asked];
  }
}

/** The last line counts. */
export function recording(name: ChainName, { lacks, logPerSecond, logDrops }: LayoutOptions): readonly Rule[] {
  const logged = logDrops !== "None" && !lacks.has("log");
  const logging = logged ? [rule([{ kind: "limit", perSecond: logPerSecond }], log(name))] : [];
  return [...logging, rule([], RETURN)];
}

function policiesOf(audit: PodAudit, direction: Direction): PodAudit["ingress"] {
  return direction === "Ingress" ? audit.ingress : audit.egress;
}
