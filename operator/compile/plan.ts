import { canonicalJson } from "../api/canonical-json.ts";
import { compare } from "../api/label-selector.ts";
import { MANAGED_BY_LABEL, PART_LABEL, POLICY_LABEL, TIER_LABEL, type Labels, type ObjectMeta } from "../api/meta.ts";
import { generatedFrom, type Direction, type NetworkPolicy } from "../api/network-policy.ts";
import type { QuarantineLabel } from "../api/segment-policy.ts";
import { opening, rounds, type Update, type Upsert } from "./gradual.ts";
import { ROLL_OUT, type Part, type PartKind } from "./part.ts";
import { quarantineOf } from "./quarantine.ts";

/** The SegmentPolicy as the owner of what is generated from it. */
export interface Owner {
  readonly name: string;
  readonly uid: string;
}

/** One write to the API server, in the order in which they have to happen. */
export type Step =
  | { readonly action: "create"; readonly part: Part }
  /** Without `uid`: the object that an earlier step creates. `reown`: another controller owns it and must go first. */
  | { readonly action: "update"; readonly part: Part; readonly uid: string | undefined; readonly reown?: true }
  | { readonly action: "delete"; readonly name: string; readonly uid: string };

export interface Plan {
  readonly steps: readonly Step[];
  /** Names that we would need but that are somebody else's. They are not touched. */
  readonly conflicts: readonly string[];
  /** Names of what is no longer wanted and already being deleted: somebody's finalizer holds it, and it still counts. */
  readonly leaving: readonly string[];
}

/**
 * What has to be written so that one namespace holds exactly `parts` of `owner`. `observed` are all the namespace's
 * NetworkPolicies. Upserts come first, in the order of roll-out; what is no longer wanted goes last, the other way
 * round: so a connection allowed before and after is never denied in between. Where tiers let go of a direction,
 * `default` lets go of it before them: else it alone would govern their pods for a moment, and it allows nothing.
 */
export function plan(owner: Owner, parts: readonly Part[], observed: readonly NetworkPolicy[]): Plan {
  const byName = new Map(observed.map((policy) => [policy.metadata.name, policy]));
  const wanted = new Set(parts.map(({ name }) => name));
  const upserts: Upsert[] = [];
  const conflicts: string[] = [];
  for (const part of parts.toSorted((a, b) => ROLL_OUT[a.kind] - ROLL_OUT[b.kind])) {
    const found = byName.get(part.name);
    if (found === undefined) upserts.push({ action: "create", part });
    else if (!isOurs(found, owner)) conflicts.push(part.name);
    else if (!holds(found, part, owner)) upserts.push({ action: "update", part, found });
  }
  const ours = observed.filter((policy) => isOurs(policy, owner));
  const leftovers = ours.filter(({ metadata }) => !wanted.has(metadata.name));
  const controlled = parts.find(({ kind }) => kind !== "quarantine")?.spec.policyTypes ?? [];
  const quarantines = [
    ...parts.filter(({ kind, name }) => kind === "quarantine" && !conflicts.includes(name)),
    ...leftovers.filter((policy) => kindOf(policy) === "quarantine" && cutsOff(policy)),
  ].flatMap(({ spec }) => quarantineOf(spec.podSelector) ?? []);
  const steps = inOrder(upserts, leftovers, ours, controlled, quarantines);
  const reown = new Set(ours.filter((policy) => hasOtherController(policy, owner)).map(({ metadata }) => metadata.uid));
  return {
    steps: steps.map((step) =>
      step.action === "update" && step.uid !== undefined && reown.has(step.uid) ? { ...step, reown: true } : step,
    ),
    conflicts,
    leaving: leavingOf(leftovers),
  };
}

function inOrder(
  upserts: readonly Upsert[],
  leftovers: readonly NetworkPolicy[],
  ours: readonly NetworkPolicy[],
  controlled: readonly Direction[],
  quarantines: readonly QuarantineLabel[],
): readonly Step[] {
  const of = (kind: PartKind) => upserts.filter(({ part }) => part.kind === kind);
  const tiers = of("tier");
  const lost = new Set(
    tiers.filter(isUpdate).flatMap(({ part, found }) => lacking(found.spec.policyTypes, part.spec.policyTypes)),
  );
  const inTheWay = ({ spec }: NetworkPolicy) => spec.policyTypes.some((direction) => lost.has(direction));
  const kept = of("default").filter(isUpdate).filter(({ found }) => inTheWay(found));
  // It lets go at once, unless it is to gain a direction as well: that it may not have before the tiers have it.
  const atOnce = kept.filter(({ part, found }) => lacking(part.spec.policyTypes, found.spec.policyTypes).length === 0);
  const opened = [
    ...kept.filter((update) => !atOnce.includes(update)).map(({ found }) => found),
    ...leftovers.filter((policy) => kindOf(policy) === "default" && inTheWay(policy)),
  ]
    .map((found) => opening(found, "default", lost, quarantines))
    .filter(({ part, found }) => canonicalJson(part.spec) !== canonicalJson(found.spec));
  const governing = ours.filter((policy) => kindOf(policy) !== "quarantine");
  const oldTiers = leftovers.filter((policy) => kindOf(policy) === "tier");
  const { widen, settle } = rounds(tiers, oldTiers, governing, controlled, quarantines);
  return [
    // Quarantine first: what is opened afterwards leaves its pods to it alone.
    ...[...of("quarantine"), ...atOnce, ...opened, ...widen].map(stepOf),
    // An object made a moment ago has an uid that only its answer told.
    ...settle.map((upsert): Step => {
      const uid = isUpdate(upsert) ? upsert.found.metadata.uid : undefined;
      return { action: "update", part: upsert.part, uid };
    }),
    ...of("default").filter((upsert) => !atOnce.some((update) => update === upsert)).map(stepOf),
    ...removal(leftovers),
  ];
}

/** Deletes of generated NetworkPolicies in the order that cuts nothing: `default` first, quarantine last. */
export function removal(policies: readonly NetworkPolicy[]): readonly Step[] {
  return policies
    .filter(({ metadata }) => !metadata.deleting)
    .toSorted((a, b) => ROLL_OUT[kindOf(b)] - ROLL_OUT[kindOf(a)] || compare(a.metadata.name, b.metadata.name))
    .map(({ metadata }) => ({ action: "delete", name: metadata.name, uid: metadata.uid }));
}

/** Names of those whose deletion has begun. */
export function leavingOf(policies: readonly NetworkPolicy[]): readonly string[] {
  return policies.filter(({ metadata }) => metadata.deleting).map(({ metadata }) => metadata.name);
}

/**
 * Whether we wrote it for this SegmentPolicy. The owner's uid does not matter: after a restore from a backup the
 * SegmentPolicy has a new one. Either the label or the owner reference is enough, so that an edited label is drift.
 */
export function isOurs(policy: NetworkPolicy, owner: Pick<Owner, "name">): boolean {
  if (generatedFrom(policy) === owner.name) return true;
  return controllerOf(policy.metadata) === owner.name && policy.metadata.labels[MANAGED_BY_LABEL] === "tierwall";
}

/** The SegmentPolicy that the object's controller reference names. */
export function controllerOf({ ownerReferences }: ObjectMeta): string | undefined {
  return ownerReferences.find(({ kind, controller }) => kind === "SegmentPolicy" && controller === true)?.name;
}

/**
 * Labels of a generated NetworkPolicy. None is copied from the SegmentPolicy: Argo CD would take the copy for its
 * own.
 */
export function partLabels(part: Pick<Part, "kind" | "tier">, owner: Pick<Owner, "name">): Labels {
  return {
    [MANAGED_BY_LABEL]: "tierwall",
    [POLICY_LABEL]: owner.name,
    [PART_LABEL]: part.kind,
    ...(part.tier !== undefined && { [TIER_LABEL]: part.tier }),
  };
}

function stepOf(upsert: Upsert): Step {
  const { action, part } = upsert;
  return action === "create" ? { action, part } : { action, part, uid: upsert.found.metadata.uid };
}

function isUpdate(upsert: Upsert): upsert is Update {
  return upsert.action === "update";
}

/** Those of `directions` that `others` has not. */
function lacking(directions: readonly Direction[], others: readonly Direction[]): readonly Direction[] {
  return directions.filter((direction) => !others.includes(direction));
}

/** As after a restore from a backup. The API server refuses a second controller, so apply alone could not mend it. */
function hasOtherController({ metadata }: NetworkPolicy, owner: Owner): boolean {
  return metadata.ownerReferences.some(({ uid, controller }) => controller === true && uid !== owner.uid);
}

function holds(found: NetworkPolicy, part: Part, owner: Owner): boolean {
  const labels = partLabels(part, owner);
  const owned = found.metadata.ownerReferences.some(({ uid, controller }) => uid === owner.uid && controller === true);
  return (
    owned &&
    // Without our field manager resolve takes it for a stranger's; an apply of the same content puts that back.
    generatedFrom(found) === owner.name &&
    found.unreadable.length === 0 &&
    Object.entries(labels).every(([key, value]) => found.metadata.labels[key] === value) &&
    canonicalJson(found.spec) === canonicalJson(part.spec)
  );
}

/** Whether pods that nothing else selects are cut off by it until it is taken away. */
function cutsOff({ metadata, spec: { policyTypes, ingress, egress } }: NetworkPolicy): boolean {
  return !metadata.deleting && policyTypes.length === 2 && ingress.length === 0 && egress.length === 0;
}

/** By its label; an object whose label was edited away counts as `default`: taking that away first only widens. */
function kindOf({ metadata }: NetworkPolicy): PartKind {
  const label = metadata.labels[PART_LABEL];
  return label === "quarantine" || label === "tier" ? label : "default";
}
