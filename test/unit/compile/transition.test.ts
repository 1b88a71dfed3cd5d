import assert from "node:assert/strict";

import fc from "fast-check";

import type { Packet } from "../../../operator/analyze/packet.ts";
import { judgeOf, type Verdict } from "../../../operator/analyze/verdict.ts";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { SegmentPolicySpec } from "../../../operator/api/segment-policy.ts";
import type { Pod } from "../../../operator/api/workload.ts";
import { compile } from "../../../operator/compile/compile.ts";
import { partsIn, type Part } from "../../../operator/compile/part.ts";
import { plan } from "../../../operator/compile/plan.ts";
import { segmentNamespaces } from "../../../operator/compile/segment-namespaces.ts";
import { FACTS } from "./facts.ts";
import type { World } from "./intent.ts";
import { OWNER, stored } from "./stored.ts";
import { probesOf, specs, worlds } from "./worlds.ts";
import { runs } from "../runs.ts";

/** Everything that is in force, by `<namespace>/<name>`. */
type InForce = ReadonlyMap<string, NetworkPolicy>;

const CUT = "example.com/cut";
const ANY = { key: CUT, value: undefined };
const YES = { key: CUT, value: "yes" };

/** Two tiers that share pods, without a rule. */
const SEGMENT: SegmentPolicySpec = {
  namespaceSelector: { matchLabels: { s: "shop" } }, boundary: "Namespace", policyTypes: ["Ingress", "Egress"],
  defaultDeny: "AllPods", dns: "Deny", quarantine: undefined, mode: "Enforce", suspend: false,
  tiers: ["web", "all"].map((name) => ({
    name, podSelector: name === "web" ? { matchLabels: { tier: "web" } } : {}, ingress: [], egress: [],
  })),
};

/** It selects the same pods with and without a quarantine label, so its part is one object before and after. */
const UNCUT: SegmentPolicySpec["tiers"] = [
  { name: "web", podSelector: { matchExpressions: [{ key: CUT, operator: "DoesNotExist" }] }, ingress: [], egress: [] },
];

/** Edits of the quarantine label together with something for which parts are written wider than they will be. */
const QUARANTINE_EDITS: readonly {
  readonly name: string;
  readonly before: Partial<SegmentPolicySpec>;
  readonly after: Partial<SegmentPolicySpec>;
}[] = [
  { name: "another label while egress comes under control", before: { policyTypes: ["Ingress"], quarantine: ANY }, after: { quarantine: YES } },
  { name: "no label any more while egress comes under control", before: { policyTypes: ["Ingress"], quarantine: YES }, after: {} },
  { name: "a first label while tiers let go of egress", before: {}, after: { policyTypes: ["Ingress"], defaultDeny: "TierPods", quarantine: YES } },
  { name: "a first label, which the tier leaves out anyway, while default lets go of egress", before: { tiers: UNCUT }, after: { tiers: UNCUT, policyTypes: ["Ingress"], quarantine: ANY } },
  { name: "another label while directions are swapped", before: { policyTypes: ["Egress"], quarantine: YES }, after: { policyTypes: ["Ingress"], quarantine: ANY } },
];

/** A segment with a pod of each kind that quarantine tells apart. */
const SMALL: World = {
  namespaces: [{ name: "one", uid: "one", labels: { s: "shop" }, terminating: false }],
  pods: [{}, { [CUT]: "yes" }, { [CUT]: "no" }].map((cut, index): Pod => ({
    namespace: "one", name: `p${index}`, uid: `u${index}`, labels: { tier: "web", ...cut }, nodeName: "n",
    hostNetwork: false, finished: false, deleting: false, addresses: [`10.1.0.${index}`], ports: [],
  })),
  excludedNamespaces: [], dns: { peers: [], ports: [] }, apiServer: { addresses: [], ports: [] }, nodes: [],
};

describe("write by write", function () {
  this.timeout(120_000);
  const thorough = { numRuns: runs(60), endOnFailure: true };

  it("an edit denies at no moment what is allowed before and after", () => {
    fc.assert(fc.property(edits, busy, ([before, after], world) => {
      assertSteady(looks(world, transition(before, after, world)), ({ allowed }) => allowed);
    }), thorough);
  });

  it("an edit allows no side at any moment what it denies before and after", () => {
    fc.assert(fc.property(edits, fc.oneof(busy, worlds), ([before, after], world) => {
      assertClosed(looks(world, transition(before, after, world)));
    }), thorough);
  });

  it("an edit of the quarantine label opens none of the pods that carry one", () => {
    fc.assert(fc.property(edits, fc.tuple(quarantine, quarantine), marked, ([before, after], [old, next], world) => {
      const seen = looks(world, transition({ ...before, quarantine: old }, { ...after, quarantine: next }, world));
      assertClosed(seen);
      assertSteady(seen, ({ allowed }) => allowed);
    }), thorough);
  });

  for (const { name, before, after } of QUARANTINE_EDITS) {
    it(`a pod that was or will be in quarantine is never open: ${name}`, () => {
      assertClosed(looks(SMALL, transition({ ...SEGMENT, ...before }, { ...SEGMENT, ...after }, SMALL)));
    });
  }

  it("the first roll-out denies at no moment what is allowed afterwards", () => {
    fc.assert(fc.property(specs, busy, (spec, world) => {
      assertSteady(looks(world, transition(undefined, spec, world)), ({ allowed }) => allowed);
    }), thorough);
  });

  it("ends with what was compiled", () => {
    fc.assert(fc.property(edits, worlds, ([before, after], world) => {
      const [end = new Map<string, NetworkPolicy>()] = [...transition(before, after, world)].slice(-1);
      for (const [namespace, parts] of wanted(after, world)) {
        const observed = [...end.values()].filter(({ metadata }) => metadata.namespace === namespace);
        assert.deepEqual(plan(OWNER, parts, observed).steps, []);
      }
    }), thorough);
  });
});

/** What becomes of each packet in one state after the other. */
interface Looks {
  readonly probes: readonly Packet[];
  readonly states: readonly ((probe: Packet) => Verdict)[];
}

/** Each verdict is found once, however often it is asked for. */
function looks(world: World, states: Iterable<InForce>): Looks {
  const look = (state: InForce): ((probe: Packet) => Verdict) => {
    const judge = judgeIn(world, state);
    const known = new Map<Packet, Verdict>();
    return (probe) => {
      const verdict = known.get(probe) ?? judge(probe);
      known.set(probe, verdict);
      return verdict;
    };
  };
  return { probes: probesOf(world), states: [...states].map(look) };
}

/** @throws AssertionError if a side is allowed in between that is denied in the first and the last state */
function assertClosed(seen: Looks): void {
  assertSteady(seen, ({ ingress }) => ingress.kind === "denied");
  assertSteady(seen, ({ egress }) => egress.kind === "denied");
}

/** @throws AssertionError if `holds` is true of a connection in the first and the last state, and not in one between */
function assertSteady({ probes, states }: Looks, holds: (verdict: Verdict) => boolean): void {
  const ends = [states[0], states.at(-1)];
  const steady = probes.filter((probe) => ends.every((look) => look !== undefined && holds(look(probe))));
  for (const [index, look] of states.slice(1, -1).entries()) {
    const lost = steady.find((probe) => !holds(look(probe)));
    assert.ok(lost === undefined, `${JSON.stringify(lost)} after write ${index + 1} of ${states.length - 1}`);
  }
}

/** Every pod is of the segment: what goes wrong for one pod shows sooner. */
const busy = worlds.map((world): World => ({
  ...world,
  namespaces: world.namespaces.map((each) => ({ ...each, labels: { zone: "a", ...each.labels, s: "shop" } })),
  pods: world.pods.map((pod, index) => ({
    ...pod, namespace: index % 3 === 0 ? "two" : "one", hostNetwork: false, finished: false,
    labels: Object.fromEntries(Object.entries(pod.labels).filter(([key]) => key !== CUT)),
  })),
}));

const quarantine = fc.constantFrom(undefined, ANY, YES, { key: CUT, value: "no" });

/** As busy, with pods that carry a quarantine label. */
const marked = fc.tuple(busy, fc.array(fc.constantFrom({}, { [CUT]: "yes" }, { [CUT]: "no" }), { minLength: 7 }))
  .map(([world, cuts]): World => ({
    ...world, pods: world.pods.map((pod, index) => ({ ...pod, labels: { ...pod.labels, ...cuts[index] } })),
  }));

/** Tiers that share no pod: by the label of their name, or after a move by another one. */
const apart = specs.chain((spec) => fc.boolean().map((moved): SegmentPolicySpec => ({
  ...spec,
  tiers: spec.tiers.map((tier) => {
    const own = { matchLabels: { tier: tier.name } };
    return { ...tier, podSelector: moved ? { ...own, matchExpressions: [{ key: "app", operator: "Exists" }] } : own };
  }),
})));

/** Tiers that may share pods. Then it holds only while `default` isolates the pods that no tier selects. */
const sharing = specs.map((spec): SegmentPolicySpec => ({ ...spec, defaultDeny: "AllPods" }));

/** Two specs of one policy, the second an edit of the first in some of its fields. */
const edits = fc.tuple(fc.oneof(fc.tuple(apart, apart), fc.tuple(sharing, sharing)), fc.record({
  policyTypes: fc.boolean(), defaultDeny: fc.boolean(), dns: fc.boolean(), quarantine: fc.boolean(), tiers: fc.boolean(),
})).map(([[before, other], edited]): readonly [SegmentPolicySpec, SegmentPolicySpec] => {
  const tiers = edited.tiers ? other.tiers : before.tiers;
  const { policyTypes } = edited.policyTypes ? other : before;
  const after: SegmentPolicySpec = {
    ...before,
    ...(edited.defaultDeny && { defaultDeny: other.defaultDeny }),
    ...(edited.dns && { dns: other.dns }),
    ...(edited.quarantine && { quarantine: other.quarantine }),
    policyTypes,
    tiers: tiers.map(({ namespaceSelector, ...tier }) => ({
      ...tier,
      ...(before.boundary === "Segment" && namespaceSelector !== undefined && { namespaceSelector }),
      ingress: policyTypes.includes("Ingress") ? tier.ingress : [],
      egress: policyTypes.includes("Egress") ? tier.egress : [],
    })),
  };
  return [before, after];
});

/** What is in force before the edit and after each write of it, one namespace after the other. */
function* transition(
  before: SegmentPolicySpec | undefined, after: SegmentPolicySpec, world: World,
): Iterable<InForce> {
  const state = new Map<string, NetworkPolicy>();
  const put = (namespace: string, part: Part) =>
    state.set(`${namespace}/${part.name}`, stored(part, { metadata: { namespace } }));
  if (before !== undefined) {
    for (const [namespace, parts] of wanted(before, world)) for (const part of parts) put(namespace, part);
  }
  yield new Map(state);
  for (const [namespace, parts] of wanted(after, world)) {
    const observed = [...state.values()].filter(({ metadata }) => metadata.namespace === namespace);
    for (const step of plan(OWNER, parts, observed).steps) {
      if (step.action === "delete") state.delete(`${namespace}/${step.name}`);
      else put(namespace, step.part);
      yield new Map(state);
    }
  }
}

function wanted(spec: SegmentPolicySpec, world: World): ReadonlyMap<string, readonly Part[]> {
  const parts = compile(OWNER.name, spec, FACTS);
  const matched = segmentNamespaces(spec, world.namespaces, new Set(world.excludedNamespaces));
  return new Map(matched.map(({ name, labels }) => [name, partsIn(parts, labels)]));
}

function judgeIn({ namespaces, pods }: World, inForce: InForce): (probe: Packet) => Verdict {
  const networkPolicies = [...inForce.values()];
  return judgeOf({ namespaces, pods, networkPolicies, nodes: new Map(), enforce: "All", nodeTraffic: "Enforce" });
}
