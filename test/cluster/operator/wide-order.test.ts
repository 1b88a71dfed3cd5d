import assert from "node:assert/strict";
import type { PartKind } from "../../../operator/compile/part.ts";
import type { Call } from "./audit-log.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { ACCOUNT, calm, Installation } from "./installation.ts";
import { kindsOf, partsOf, SEGMENT_LABEL } from "./segment.ts";
import { chain, namespacesOf, placesOf, type WideSegment } from "./wide-segment.ts";

const NAMESPACES = 200;
const TIERS = 3;
const LONG_MS = 60_000;

/** A step of the order, such as "create tier", without how often. */
type Order = readonly `${"create" | "patch" | "delete"} ${PartKind}`[];

interface Edit {
  readonly name: string;
  /** What follows one another in every namespace; tiers among themselves have no order. */
  readonly order: Order;
  readonly port?: number;
  readonly spec?: Readonly<Record<string, unknown>>;
}

const quarantineLabel = "example.com/cut=yes";
const moved = chain({ name: "x", namespaces: 0, tiers: TIERS }, 9090, {}).spec as { tiers: readonly object[] };
/** Its pods are still nobody else's: tiers that share pods are opened on the way. */
const movedTiers = moved.tiers.map((tier, index) => index === 1
  ? { ...tier, podSelector: { matchLabels: { tier: "tier-1", app: "one" } } }
  : tier);
const onlyIngress = { tiers: movedTiers, policyTypes: ["Ingress"] };

/** One after the other, each from the state that the one before left. */
const EDITS: readonly Edit[] = [
  { name: "the roll-out", order: ["create quarantine", "create tier", "create default"] },
  { name: "an edit of a rule", order: ["patch tier"], port: 9090 },
  {
    name: "an edit of a podSelector: the new object beside the old one, which goes last",
    order: ["create tier", "patch tier", "delete tier"], spec: { tiers: movedTiers },
  },
  { name: "a direction given up: default lets go first", order: ["patch default", "patch tier"], spec: onlyIngress },
  {
    name: "a direction taken up: default has it last",
    order: ["patch tier", "patch default"], spec: { tiers: movedTiers },
  },
  {
    name: "another quarantine label: every part has a new selector, and the old ones go the other way round",
    order: ["create quarantine", "create tier", "create default", "delete default", "delete tier", "delete quarantine"],
    spec: { tiers: movedTiers, quarantineLabel },
  },
];

describe(`the operator: the order of its writes over ${NAMESPACES} namespaces`, function () {
  this.timeout(180_000);
  const segment: WideSegment = { name: "broad", namespaces: NAMESPACES, tiers: TIERS };
  let installation: Installation;
  /** Of all names that parts have had. */
  const kinds = new Map<string, PartKind>();

  before(async () => {
    installation = await Installation.start();
    await installation.apply(...namespacesOf(segment));
    const operator = await installation.startOperator("broad");
    await operator.untilReady();
    await operator.untilLeading();
  });

  after(() => installation?.stop());

  /** By namespace, the operator's writes to NetworkPolicies; one that found its object gone is among them. */
  async function writesSince(mark: number): Promise<ReadonlyMap<string, readonly Call[]>> {
    const calls = await installation.audit.calls(mark);
    const own = calls.filter((call) => call.resource === "networkpolicies" && call.user.endsWith(`:${ACCOUNT.name}`)
      && ["create", "patch", "delete"].includes(call.verb));
    return Map.groupBy(own, (call) => call.namespace);
  }

  /** The calls with repeats of one kind drawn together. */
  function orderOf(calls: readonly Call[]): readonly string[] {
    const steps = calls.map(({ verb, name }) => `${verb} ${kinds.get(name) ?? name}`);
    return steps.filter((step, index) => step !== steps[index - 1]);
  }

  async function assertOrder(mark: number, places: readonly string[], order: Order): Promise<void> {
    const writes = await writesSince(mark);
    assert.deepEqual([...writes.keys()].toSorted(), places.toSorted());
    for (const [place, calls] of writes) assert.deepEqual(orderOf(calls), order, place);
  }

  async function learnNames(): Promise<number> {
    const all = `${NAMESPACES}/${NAMESPACES}`;
    await installation.until(segment.name, "Ready", "True", LONG_MS);
    const shown = await installation.untilShown(segment.name, all, ({ namespaces }) => namespaces?.summary === all);
    const parts = partsOf(shown);
    for (const [index, kind] of kindsOf(parts, parts.map(({ name }) => name)).entries()) {
      const name = parts[index]?.name;
      if (name !== undefined && kind !== undefined) kinds.set(name, kind);
    }
    return parts.length;
  }

  for (const { name, order, port = 9090, spec } of EDITS) {
    it(name, async () => {
      const mark = await installation.audit.mark();
      await installation.apply(chain(segment, name === "the roll-out" ? 8080 : port, spec));
      const parts = await learnNames();
      await assertOrder(mark, placesOf(segment), order);
      assert.equal((await installation.policy(segment.name)).status.networkPolicies, parts * NAMESPACES);
    });
  }

  it("a namespace that leaves is cleared, and no other is written to", async () => {
    const mark = await installation.audit.mark();
    const place = `${segment.name}-7`;
    await installation.kubectl("label", `namespace/${place}`, `${SEGMENT_LABEL}-`);
    await installation.untilNamed(place, []);
    await calm(500);
    await assertOrder(mark, [place], ["delete default", "delete tier", "delete quarantine"]);
  });

  for (const cascade of ["background", "foreground"]) {
    it(`the deletion of the SegmentPolicy in the ${cascade}`, async () => {
      if (cascade === "foreground") {
        await installation.apply(...namespacesOf(segment), chain(segment));
        await learnNames();
      }
      const places = placesOf(segment).filter((place) => cascade === "foreground" || place !== `${segment.name}-7`);
      const mark = await installation.audit.mark();
      await installation.kubectl("delete", "segpol", segment.name, `--cascade=${cascade}`, "--wait=false");
      for (const place of places) await installation.untilNamed(place, [], LONG_MS);
      await calm(1_000);
      const writes = await writesSince(mark);
      // What the garbage collector has taken in the meantime needs no call of ours; the rest keeps its order.
      const rank = { "delete default": 0, "delete tier": 1, "delete quarantine": 2 };
      for (const [place, calls] of writes) {
        const ranks = orderOf(calls).map((step) => rank[step as keyof typeof rank] ?? -1);
        assert.deepEqual(ranks, ranks.toSorted(), place);
        assert.ok(!ranks.includes(-1), `${place}: ${orderOf(calls).join()}`);
      }
      assert.ok(writes.size >= places.length / 2, `${writes.size} namespaces were cleared by the operator`);
    });
  }

  keepsGoodConduct(() => installation);
});
