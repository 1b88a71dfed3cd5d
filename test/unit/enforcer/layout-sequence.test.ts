import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { FAMILIES } from "../../../operator/enforcer/layout/family.ts";
import { layout, Layout } from "../../../operator/enforcer/layout/layout.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import type { Ruleset } from "../../../operator/enforcer/layout/ruleset.ts";
import type { PodDraft, StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { runs } from "../runs.ts";

const ADDRESSES = ["10.1.0.5", "10.1.0.6", "10.1.3.7", "fd00::5"];
const MEMBERS = ["10.2.0.1", "10.2.0.2", "10.1.0.6", "fd00:2::1"];
const policies = fc.constantFrom<readonly string[]>([], ["p"], ["q"], ["p", "q"]);
const pod: fc.Arbitrary<PodDraft> = fc.record({
  address: fc.constantFrom(...ADDRESSES),
  ports: fc.constantFrom([], [{ name: "http", protocol: "TCP", port: 80 }], [{ name: "http", protocol: "TCP", port: 81 }] as const),
  ingress: policies,
  egress: policies,
}) as fc.Arbitrary<PodDraft>;
const members = fc.subarray(MEMBERS);

interface World {
  readonly pods: readonly PodDraft[];
  readonly x: readonly string[];
  readonly y: readonly string[];
  /** A rule of `p` names both sets. */
  readonly wide: boolean;
}

const pods = fc.uniqueArray(pod, { selector: ({ address }) => address, maxLength: 4 });
/** Most steps change one thing. */
const step: fc.Arbitrary<Partial<World>> = fc.oneof(
  fc.record({ pods }), fc.record({ x: members }), fc.record({ y: members }), fc.record({ wide: fc.boolean() }),
);

function draftOf({ pods: own, x, y, wide }: World): StateDraft {
  return {
    pods: Object.fromEntries(own.map((each) => [`pod-${each.address}`, each])),
    peers: { x, y },
    policies: {
      p: { ingress: [{ peers: ["x"], ports: [{ protocol: "TCP", name: "http" }] }, { peers: wide ? ["x", "y"] : ["y"] }] },
      q: { ingress: [{ peers: ["y"] }], egress: [{ peers: ["x", { cidr: "10.0.0.0/8" }] }] },
    },
  };
}

/** As a stream gives states: what is the same is the same object. */
function shared(before: NodeState, after: NodeState): NodeState {
  return {
    pods: kept(before.pods, after.pods),
    policies: kept(before.policies, after.policies),
    peers: kept(before.peers, after.peers),
    generations: after.generations,
  };
}

function kept<K, V>(before: ReadonlyMap<K, V>, after: ReadonlyMap<K, V>): ReadonlyMap<K, V> {
  const made = new Map([...after].map(([key, value]) => [key, isDeepStrictEqual(before.get(key), value) ? before.get(key) as V : value]));
  const same = made.size === before.size && [...made].every(([key, value]) => before.get(key) === value);
  return same ? before : made;
}

function plain({ family, hooks, chains, sets }: Ruleset): object {
  const held = [...sets].map(([name, set]) => [name, { ...set, members: [...set.members].toSorted() }] as const);
  return { family, hooks, chains: new Map([...chains].toSorted()), sets: new Map(held.toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

describe("a layout of one state after the other", () => {
  it("is that of each state by itself", () => {
    fc.assert(fc.property(pods, fc.array(step, { minLength: 2, maxLength: 12 }), (first, steps) => {
      const layouts = FAMILIES.map((family) => ({ family, layout: new Layout(family, DEFAULT_OPTIONS) }));
      let world: World = { pods: first, x: [], y: [], wide: false };
      let state = nodeState({});
      for (const each of [{}, ...steps]) {
        world = { ...world, ...each };
        state = shared(state, nodeState(draftOf(world)));
        for (const one of layouts) assert.deepEqual(plain(one.layout.of(state)), plain(layout(state, one.family)));
      }
    }), { numRuns: runs(150) });
  });

  it("gives a class that comes back its sets back", () => {
    const policies = { p: { ingress: [{ peers: ["x"] }] } };
    const isolated = nodeState({ pods: { a: { address: "10.1.0.5", ingress: ["p"] } }, policies, peers: { x: ["10.2.0.1"] } });
    const empty = { ...isolated, pods: new Map() };
    const one = new Layout("ipv4", DEFAULT_OPTIONS);
    for (const state of [isolated, empty, empty, isolated]) assert.equal(one.of(state).sets.size, state === empty ? 0 : 1);
  });
});
