import { canonicalJson } from "./canonical-json.ts";
import { readCondition } from "./condition.ts";
import type { LabelSelector } from "./label-selector.ts";
import { readMeta, readSelector } from "./meta-parser.ts";
import type { Direction } from "./network-policy.ts";
import { readIPBlock, readPort } from "./network-policy-parser.ts";
import { ReadError, Reader } from "./reader.ts";
import type {
  QuarantineLabel,
  SegmentPolicy,
  SegmentPolicySpec,
  SegmentPolicyStatus,
  SpecVerdict,
  Tier,
  TierPeer,
  TierPort,
  TierRule,
} from "./segment-policy.ts";

/**
 * A part of the language that this version cannot hold yet. Accepting and ignoring it would open or cut connections.
 */
class NotImplementedError extends ReadError {}

const DEFAULT_QUARANTINE_LABEL = "tierwall.io/quarantine";

/** @throws ReadError only if the metadata cannot be read; a spec that makes no sense becomes the verdict. */
export function readSegmentPolicy(object: unknown): SegmentPolicy {
  const root = new Reader(object);
  return {
    metadata: readMeta(root),
    verdict: judgeSpec(root.at("spec")),
    status: root.at("status").or(readStatus, { observedGeneration: -1, conditions: [] }),
    statusText: canonicalJson(root.at("status").value ?? {}),
    finalizers: root
      .at("metadata")
      .at("finalizers")
      .or((list) => list.each((item) => item.text()), []),
  };
}

function judgeSpec(spec: Reader): SpecVerdict {
  try {
    return { accepted: true, spec: readSpec(spec) };
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
  onlyValue(spec.at("boundary"), "Namespace");
  onlyValue(spec.at("mode"), "Enforce");
  onlyValue(spec.at("suspend"), false);
  if (spec.at("assertions").or((list) => list.list().length > 0, false)) throw notImplemented(spec.at("assertions"));
  const namespaceSelector = readSelector(spec.at("namespaceSelector"));
  if (isEmpty(namespaceSelector)) {
    throw spec
      .at("namespaceSelector")
      .wrong("a selector with at least one label, such as matchLabels: {tierwall.io/segment: shop}");
  }
  const tiers = spec.at("tiers").or((list) => list.each(readTier), []);
  const names = tiers.map(({ name }) => name);
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (twice >= 0) throw new ReadError(`spec.tiers[${twice}].name`, `tier "${names[twice] ?? ""}" is declared twice`);
  checkTierPeers(tiers);
  return {
    namespaceSelector,
    policyTypes: readPolicyTypes(spec.at("policyTypes")),
    defaultDeny: spec.at("defaultDeny").or((reader) => reader.oneOf(["AllPods", "TierPods"]), "AllPods"),
    dns: spec.at("dns").or((reader) => reader.oneOf(["Allow", "Deny"]), "Allow"),
    quarantine: readQuarantineLabel(spec.at("quarantineLabel")),
    tiers,
  };
}

function readPolicyTypes(types: Reader): readonly Direction[] {
  const readType = (type: Reader): Direction => type.oneOf(["Ingress", "Egress"]);
  const listed = new Set(types.or((list) => list.each(readType), ["Ingress", "Egress"]));
  // Taking one direction away needs an order of writes of its own (default part first), which is not there yet.
  if (listed.size < 2)
    throw new NotImplementedError(
      types.path,
      "this version always controls both: write [Ingress, Egress] or leave it out",
    );
  return ["Ingress", "Egress"];
}

function readQuarantineLabel(label: Reader): QuarantineLabel | undefined {
  const text = label.or((reader) => reader.text(), DEFAULT_QUARANTINE_LABEL);
  if (text === "") return undefined;
  const equals = text.indexOf("=");
  return equals < 0 ? { key: text, value: undefined } : { key: text.slice(0, equals), value: text.slice(equals + 1) };
}

function readTier(tier: Reader): Tier {
  tier.onlyKeys(["name", "podSelector", "namespaceSelector", "ingress", "egress"]);
  const name = tier.at("name").text();
  if (tier.at("namespaceSelector").present) throw notImplemented(tier.at("namespaceSelector"));
  return {
    name,
    podSelector: tier.at("podSelector").or(readSelector, { matchLabels: { tier: name } }),
    ingress: tier.at("ingress").or((list) => list.each((rule) => readRule(rule, "from")), []),
    egress: tier.at("egress").or((list) => list.each((rule) => readRule(rule, "to")), []),
  };
}

function readRule(rule: Reader, side: "from" | "to"): TierRule {
  rule.onlyKeys([side, "ports"]);
  const peers = rule.at(side).list().map(readTierPeer);
  // Templates produce empty lists by accident, and NetworkPolicy reads them as "any".
  if (peers.length === 0)
    throw rule.at(side).wrong("a list with at least one peer; for no restriction write [{anywhere: {}}]");
  if (peers.length > 1 && peers.some(({ kind }) => kind === "anywhere")) {
    throw new ReadError(rule.at(side).path, "anywhere must be the rule's only peer");
  }
  const ports = rule.at("ports").maybe((list) => list.each(readTierPort));
  if (ports?.length === 0) throw rule.at("ports").wrong("a list with at least one port; leave it out for every port");
  return { peers, ports: ports ?? "any" };
}

function readTierPeer(peer: Reader): TierPeer {
  peer.onlyKeys(["tier", "podSelector", "namespaceSelector", "ipBlock", "anywhere", "kubeAPIServer", "nodes"]);
  for (const later of ["kubeAPIServer", "nodes"]) {
    if (peer.at(later).present) throw notImplemented(peer.at(later));
  }
  const podSelector = peer.at("podSelector").maybe(readSelector);
  const namespaceSelector = peer.at("namespaceSelector").maybe(readSelector);
  const kinds: TierPeer[] = [];
  const tier = peer.at("tier").maybe((reader) => reader.text());
  if (tier !== undefined) kinds.push({ kind: "tier", tier });
  if (podSelector !== undefined || namespaceSelector !== undefined) {
    kinds.push({ kind: "pods", ...(podSelector && { podSelector }), ...(namespaceSelector && { namespaceSelector }) });
  }
  const ipBlock = peer.at("ipBlock").maybe(readIPBlock);
  if (ipBlock !== undefined) kinds.push({ kind: "ipBlock", ipBlock });
  if (peer.at("anywhere").present) kinds.push({ kind: "anywhere" });
  const [only, second] = kinds;
  if (only === undefined || second !== undefined) {
    throw peer.wrong("exactly one of tier, podSelector and/or namespaceSelector, ipBlock, anywhere");
  }
  return only;
}

function readTierPort(port: Reader): TierPort {
  const { protocol = "TCP", port: number, endPort } = readPort(port);
  if (number === undefined) throw port.at("port").wrong("a port number or the name of a container port");
  return { protocol, port: number, ...(endPort !== undefined && { endPort }) };
}

/** @throws ReadError for a rule that names a tier nobody declares */
function checkTierPeers(tiers: readonly Tier[]): void {
  const names = tiers.map(({ name }) => name);
  tiers.forEach((tier, tierIndex) => {
    for (const [direction, side] of [
      ["ingress", "from"],
      ["egress", "to"],
    ] as const) {
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

function readStatus(status: Reader): SegmentPolicyStatus {
  return {
    observedGeneration: status.at("observedGeneration").or((reader) => reader.integer(), -1),
    conditions: status.at("conditions").or((list) => list.each(readCondition), []),
  };
}

function onlyValue(field: Reader, value: string | boolean): void {
  if (field.present && field.value !== value) throw notImplemented(field, `only ${JSON.stringify(value)} works`);
}

function notImplemented(field: Reader, hint = "leave it out"): NotImplementedError {
  return new NotImplementedError(field.path, `not implemented in this version of Tierwall: ${hint}`);
}

function isEmpty({ matchLabels = {}, matchExpressions = [] }: LabelSelector): boolean {
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}
