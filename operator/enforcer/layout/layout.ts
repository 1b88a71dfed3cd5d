import type { LocalPod, NodeState, PolicyId } from "../../api/node-state.ts";
import type { Direction } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import { ADDRESS_BITS, addressValue, familyOf } from "./family.ts";
import type { PolicyClass } from "./policy-class.ts";
import { policyClass } from "./policy-class.ts";
import { bucketPrefixes, contains, coveringPrefixes, prefixText } from "./prefix.ts";
import type { Prefix } from "./prefix.ts";
import type { ChainName, Rule } from "./rule.ts";
import { RETURN, rule, within } from "./rule.ts";
import type { Ruleset } from "./ruleset.ts";
import { contentName } from "./ruleset.ts";
import { SetShelf } from "./set-shelf.ts";
import { EGRESS_CHAIN, INGRESS_CHAIN, skeleton } from "./skeleton.ts";

/** An address of a local pod. */
interface Leaf {
  readonly address: string;
  /** Parsed once: that is the slow part. */
  readonly value: bigint;
  readonly pod: LocalPod;
}

/**
 * The chains and sets of one family that enforce `state`: fork by direction, bucket and address to a class, which is
 * shared by all pods with the same policies. Equal states give equal rulesets, in whatever order they were built.
 */
export function layout(state: NodeState, family: Family): Ruleset {
  const shelf = new SetShelf(state, family);
  const leaves = [...state.pods.values()].flatMap((pod) => leavesOf(pod, family)).toSorted(byValue);
  const addresses = leaves.map(({ value }) => value);
  const buckets = bucketPrefixes(addresses, family);
  const chains = new Map(skeleton(coveringPrefixes(addresses, family), family));
  for (const direction of ["Egress", "Ingress"] as const) {
    const classes = new Map<string, PolicyClass>();
    const classOf = (policies: readonly PolicyId[]): PolicyClass => {
      const key = policies.join("\n");
      const known = classes.get(key) ?? policyClass(policies, direction, state, shelf, family);
      classes.set(key, known);
      return known;
    };
    for (const [name, rules] of forks(leaves, buckets, direction, family, classOf)) chains.set(name, rules);
    for (const { name, rules } of classes.values()) chains.set(name, rules);
  }
  return { family, chains, sets: shelf.sets };
}

function leavesOf(pod: LocalPod, family: Family): readonly Leaf[] {
  const addresses = pod.addresses.filter((address) => familyOf(address) === family);
  return addresses.map((address) => ({ address, value: addressValue(address, family), pod }));
}

/** The direction's entry chain and its buckets. */
function forks(
  leaves: readonly Leaf[],
  buckets: readonly Prefix[],
  direction: Direction,
  family: Family,
  classOf: (policies: readonly PolicyId[]) => PolicyClass,
): ReadonlyMap<ChainName, readonly Rule[]> {
  const entry = direction === "Ingress" ? INGRESS_CHAIN : EGRESS_CHAIN;
  const side = direction === "Ingress" ? "destination" : "source";
  const policiesOf = ({ pod }: Leaf): readonly PolicyId[] => (direction === "Ingress" ? pod.ingress : pod.egress);
  const isolated = leaves.filter((leaf) => policiesOf(leaf).length > 0);
  const entries: Rule[] = [];
  const chains = new Map<ChainName, readonly Rule[]>([[entry, entries]]);
  for (const bucket of buckets) {
    const inside = isolated.filter(({ value }) => contains(bucket, value, family));
    if (inside.length === 0) continue;
    const net = prefixText(bucket, family);
    const chain = contentName(direction === "Ingress" ? "I-" : "E-", net) as ChainName;
    entries.push(rule(within(side, net), { kind: "goto", chain }));
    chains.set(chain, inside.flatMap((leaf) => leafRules(leaf, side, family, classOf(policiesOf(leaf)))));
  }
  return chains;
}

function leafRules({ address }: Leaf, side: "source" | "destination", family: Family, { name }: PolicyClass): Rule[] {
  const net = `${address}/${ADDRESS_BITS[family]}`;
  return [
    // A pod may always talk to itself, through its own Service too.
    rule([{ kind: "source", net }, { kind: "destination", net }], RETURN),
    rule([{ kind: side, net }], { kind: "goto", chain: name }),
  ];
}

function byValue(a: Leaf, b: Leaf): number {
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}
