import { canonicalJson } from "./canonical-json.ts";
import { readCondition } from "./condition.ts";
import type { LabelSelector } from "./label-selector.ts";
import { isLabelKey, isLabelValue } from "./label-syntax.ts";
import { readMeta } from "./meta-parser.ts";
import type { Direction } from "./network-policy.ts";
import { ReadError, Reader } from "./reader.ts";
import type {
  QuarantineLabel,
  SegmentPolicy,
  SegmentPolicySpec,
  SegmentPolicyStatus,
  SpecVerdict,
  Tier,
} from "./segment-policy.ts";
import { readStrictSelector } from "./strict-parser.ts";
import { readTier } from "./tier-parser.ts";

/**
 * A part of the language that this version cannot hold yet. Accepting and ignoring it would open or cut connections.
 */
class NotImplementedError extends ReadError {}

const DEFAULT_QUARANTINE_LABEL = "tierwall.io/quarantine";
const LONGEST_NAME = 40;
const NO_STATUS: SegmentPolicyStatus = { observedGeneration: -1, conditions: [] };
const DIRECTIONS: readonly Direction[] = ["Ingress", "Egress"];
const BOUNDARIES = ["Namespace", "Segment"] as const;
const MODES = ["Enforce", "Audit"] as const;
/** A tier's two lists, the member of their rules that holds the peers, and the direction. */
const SIDES = [
  ["ingress", "from", "Ingress"],
  ["egress", "to", "Egress"],
] as const;

/** @throws ReadError only if the metadata cannot be read; a spec that makes no sense becomes the verdict. */
export function readSegmentPolicy(object: unknown): SegmentPolicy {
  const root = new Reader(object);
  return {
    metadata: readMeta(root),
    verdict: judge(root),
    status: readStatus(root.at("status")),
    statusText: canonicalJson(root.at("status").value ?? {}),
    finalizers: root
      .at("metadata")
      .at("finalizers")
      .or((list) => list.each((item) => item.text()), []),
  };
}

function judge(root: Reader): SpecVerdict {
  try {
    const name = root.at("metadata").at("name");
    if (name.text().length > LONGEST_NAME) {
      throw name.wrong(`at most ${LONGEST_NAME} characters: the names of the generated NetworkPolicies begin with it`);
    }
    return { accepted: true, spec: readSpec(root.at("spec")) };
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    const reason = error instanceof NotImplementedError ? "NotImplemented" : "Invalid";
    return { accepted: false, reason, message: error.message };
  }
}

/** The spec, defaults filled in. @throws ReadError that names the field, NotImplementedError for one not built yet. */
function readSpec(spec: Reader): SegmentPolicySpec {
  spec.onlyKeys([
    "namespaceSelector",
    "boundary",
    "policyTypes",
    "defaultDeny",
    "dns",
    "quarantineLabel",
    "mode",
    "suspend",
    "tiers",
    "assertions",
  ]);
  if (spec.at("assertions").or((list) => list.list().length > 0, false)) throw notImplemented(spec.at("assertions"));
  const namespaceSelector = readStrictSelector(spec.at("namespaceSelector"));
  if (isEmpty(namespaceSelector)) {
    throw spec
      .at("namespaceSelector")
      .wrong("a selector with at least one label, such as matchLabels: {tierwall.io/segment: shop}");
  }
  const mode = spec.at("mode").or((reader) => reader.oneOf(MODES), "Enforce");
  const quarantine = readQuarantineLabel(spec.at("quarantineLabel"));
  const boundary = spec.at("boundary").or((reader) => reader.oneOf(BOUNDARIES), "Namespace");
  const policyTypes = readPolicyTypes(spec.at("policyTypes"));
  const tiers = spec.at("tiers").or((list) => list.each(readTier), []);
  checkNames(tiers);
  checkTierPeers(tiers);
  checkDirections(tiers, policyTypes);
  checkHomes(tiers, boundary);
  return {
    namespaceSelector,
    boundary,
    policyTypes,
    defaultDeny: spec.at("defaultDeny").or((reader) => reader.oneOf(["AllPods", "TierPods"]), "AllPods"),
    dns: spec.at("dns").or((reader) => reader.oneOf(["Allow", "Deny"]), "Allow"),
    quarantine: mode === "Audit" ? undefined : quarantine,
    mode,
    suspend: spec.at("suspend").or((reader) => reader.flag(), false),
    tiers,
  };
}

function readPolicyTypes(types: Reader): readonly Direction[] {
  const readType = (type: Reader): Direction => type.oneOf(DIRECTIONS);
  const listed = types.or((list) => list.each(readType), DIRECTIONS);
  if (new Set(listed).size < listed.length) throw types.wrong("a list of Ingress, Egress or both, each once");
  if (listed.length === 0) throw types.wrong("a list of Ingress, Egress or both; leave it out for both");
  return DIRECTIONS.filter((direction) => listed.includes(direction));
}

function readQuarantineLabel(label: Reader): QuarantineLabel | undefined {
  const text = label.or((reader) => reader.text(), DEFAULT_QUARANTINE_LABEL);
  if (text === "") return undefined;
  const equals = text.indexOf("=");
  const key = equals < 0 ? text : text.slice(0, equals);
  const value = equals < 0 ? undefined : text.slice(equals + 1);
  if (!isLabelKey(key) || !isLabelValue(value ?? "")) {
    throw label.wrong("a label key, a label as key=value, or the empty string to turn quarantine off");
  }
  return { key, value };
}

/** @throws ReadError for a name that two tiers have */
function checkNames(tiers: readonly Tier[]): void {
  const names = tiers.map(({ name }) => name);
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (twice >= 0) throw new ReadError(`spec.tiers[${twice}].name`, `tier "${names[twice] ?? ""}" is declared twice`);
}

/** @throws ReadError for a rule that names a tier nobody declares */
function checkTierPeers(tiers: readonly Tier[]): void {
  const names = tiers.map(({ name }) => name);
  tiers.forEach((tier, tierIndex) => {
    for (const [direction, side] of SIDES) {
      tier[direction].forEach(({ peers }, ruleIndex) =>
        peers.forEach((peer, peerIndex) => {
          if (peer.kind !== "tier" || names.includes(peer.tier)) return;
          const path = `spec.tiers[${tierIndex}].${direction}[${ruleIndex}].${side}[${peerIndex}].tier`;
          throw new ReadError(path, `no tier "${peer.tier}"; declared: ${names.join(", ")}`);
        }),
      );
    }
  });
}

/** @throws ReadError for a rule in a direction that the policy leaves alone: it could not do anything */
function checkDirections(tiers: readonly Tier[], policyTypes: readonly Direction[]): void {
  for (const [index, tier] of tiers.entries()) {
    for (const [field, , direction] of SIDES) {
      if (tier[field].length === 0 || policyTypes.includes(direction)) continue;
      const path = `spec.tiers[${index}].${field}`;
      throw new ReadError(path, `policyTypes does not list ${direction}: add it there, or take the rules out`);
    }
  }
}

/** @throws ReadError for a tier that narrows where it lives while it lives in one namespace anyway */
function checkHomes(tiers: readonly Tier[], boundary: SegmentPolicySpec["boundary"]): void {
  const index = tiers.findIndex(({ namespaceSelector }) => namespaceSelector !== undefined);
  if (boundary === "Segment" || index < 0) return;
  throw new ReadError(`spec.tiers[${index}].namespaceSelector`, "needs boundary: Segment");
}

/**
 * One that cannot be read counts as none, and ours will take its place: whoever may write a status must not make the
 * whole object unreadable, which is left out of the store as if it were deleted.
 */
function readStatus(status: Reader): SegmentPolicyStatus {
  if (!status.present) return NO_STATUS;
  try {
    return {
      observedGeneration: status.at("observedGeneration").or((reader) => reader.integer(), -1),
      conditions: status.at("conditions").or((list) => list.each(readCondition), []),
    };
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    return NO_STATUS;
  }
}

function notImplemented(field: Reader): NotImplementedError {
  return new NotImplementedError(field.path, "not implemented in this version of Tierwall: leave it out");
}

function isEmpty({ matchLabels = {}, matchExpressions = [] }: LabelSelector): boolean {
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}
