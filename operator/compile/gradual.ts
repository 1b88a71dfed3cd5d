import { canonicalJson } from "../api/canonical-json.ts";
import { TIER_LABEL } from "../api/meta.ts";
import type { Direction, NetworkPolicy, NetworkPolicySpec } from "../api/network-policy.ts";
import type { QuarantineLabel } from "../api/segment-policy.ts";
import { mayOverlap } from "./overlap.ts";
import type { Part } from "./part.ts";
import { outsideQuarantine } from "./quarantine.ts";

export interface Creation {
  readonly action: "create";
  readonly part: Part;
}

export interface Update {
  readonly action: "update";
  readonly part: Part;
  readonly found: NetworkPolicy;
}

export type Upsert = Creation | Update;

/** Writes to the tiers in two rounds: all of `widen`, then all of `settle`. */
export interface Rounds {
  readonly widen: readonly Upsert[];
  readonly settle: readonly Upsert[];
}

const DIRECTIONS: readonly Direction[] = ["Ingress", "Egress"];

/**
 * Tiers may share pods, and what such a pod is allowed is said by several NetworkPolicies, which change one after the
 * other. So where two that change may share pods, they first become as wide as they were and will be, and narrow when
 * all of them are. What does not share pods is written once.
 * @param tiers to be written
 * @param leftovers of tiers, to be taken away afterwards
 * @param before what selects the policy's pods now, quarantine left out
 * @param controlled the directions that are to be controlled
 * @param quarantines in force meanwhile: what is wider than it will be leaves their pods out
 */
export function rounds(
  tiers: readonly Upsert[],
  leftovers: readonly NetworkPolicy[],
  before: readonly NetworkPolicy[],
  controlled: readonly Direction[],
  quarantines: readonly QuarantineLabel[],
): Rounds {
  const stay = tiers.filter((tier) => tier.action === "update").map(({ found }) => found);
  const lost = new Set(DIRECTIONS.filter((direction) => !controlled.includes(direction)));
  const first = tiers.map((tier): Upsert => {
    // What is made anew comes first: only another one that is there already can narrow too early.
    const others = tier.action === "create" ? tiers : tiers.filter(({ action }) => action === "update");
    const shares = others.some((other) => other !== tier && overlap(other.part.spec, tier.part.spec));
    const spec = shares ? wide(tier, before) : tier.part.spec;
    if (same(spec, tier.part.spec)) return tier;
    return { ...tier, part: { ...tier.part, spec: leavingOut(quarantines, spec) } };
  });
  const opened = leftovers
    .filter((policy) => [...stay, ...leftovers].some((other) => other !== policy && overlap(other.spec, policy.spec)))
    .map((found) => opening(found, "tier", lost, quarantines));
  const changes = (upsert: Upsert) => upsert.action === "create" || !same(upsert.part.spec, upsert.found.spec);
  const creations = first.filter(({ action }) => action === "create");
  const widen = [...creations, ...opened, ...first.filter(({ action }) => action === "update")].filter(changes);
  const settle = tiers.filter((tier, index) => {
    const written = first[index];
    return written !== tier || !changes(tier);
  });
  return { widen, settle };
}

/** What allows all that was allowed and all that will be, and isolates nobody who was not isolated. */
function wide(tier: Upsert, before: readonly NetworkPolicy[]): NetworkPolicySpec {
  const { spec } = tier.part;
  if (tier.action === "create") {
    const governing = before.filter((policy) => overlap(policy.spec, spec));
    const governed = new Set(governing.flatMap(({ spec: { policyTypes } }) => policyTypes));
    return open(spec, new Set(spec.policyTypes.filter((type) => !governed.has(type))));
  }
  const old = tier.found.spec;
  const [was, is] = [new Set(old.policyTypes), new Set(spec.policyTypes)];
  const both = {
    podSelector: spec.podSelector,
    policyTypes: DIRECTIONS.filter((type) => was.has(type) || is.has(type)),
    ingress: union(old.ingress, spec.ingress),
    egress: union(old.egress, spec.egress),
  };
  return open(both, was.symmetricDifference(is));
}

/** The same with everything allowed in these directions, as far as it governs them. */
function open(spec: NetworkPolicySpec, directions: ReadonlySet<Direction>): NetworkPolicySpec {
  const opens = (direction: Direction) => directions.has(direction) && spec.policyTypes.includes(direction);
  return {
    ...spec,
    ...(opens("Ingress") && { ingress: [{}] }),
    ...(opens("Egress") && { egress: [{}] }),
  };
}

/**
 * A pod that only the old or only the new quarantine selects is for a while selected by parts of the other state too.
 * As they were or will be, those allow it nothing that is not allowed before or after; wider, they would.
 */
function leavingOut(quarantines: readonly QuarantineLabel[], spec: NetworkPolicySpec): NetworkPolicySpec {
  return { ...spec, podSelector: quarantines.reduce(outsideQuarantine, spec.podSelector) };
}

function union<T extends object>(a: readonly T[], b: readonly T[]): readonly T[] {
  const rules = [...a, ...b];
  // A rule without conditions includes all others.
  const all = rules.find((rule) => Object.keys(rule).length === 0);
  if (all !== undefined) return [all];
  return [...new Map(rules.map((rule) => [canonicalJson(rule), rule])).values()];
}

/** Also where rules stand in another order. */
function same(a: NetworkPolicySpec, b: NetworkPolicySpec): boolean {
  const text = ({ podSelector, policyTypes, ingress, egress }: NetworkPolicySpec) =>
    canonicalJson([podSelector, policyTypes, ...[ingress, egress].map((rules) => rules.map(canonicalJson).toSorted())]);
  return text(a) === text(b);
}

function overlap(a: NetworkPolicySpec, b: NetworkPolicySpec): boolean {
  return mayOverlap(a.podSelector, b.podSelector);
}

/** What is there, but with everything allowed in directions that are let go of: the first half of letting go. */
export function opening(
  found: NetworkPolicy,
  kind: Part["kind"],
  lost: ReadonlySet<Direction>,
  quarantines: readonly QuarantineLabel[],
): Update {
  const { name, labels } = found.metadata;
  const tier = labels[TIER_LABEL];
  const opened = open(found.spec, lost);
  const spec = same(opened, found.spec) ? found.spec : leavingOut(quarantines, opened);
  const part: Part = { name, kind, ...(tier !== undefined && { tier }), spec, gaps: [], concerns: [] };
  return { action: "update", found, part };
}
