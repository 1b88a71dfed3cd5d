import assert from "node:assert/strict";
import type { Part } from "../../../operator/compile/part.ts";
import type { Call } from "./audit-log.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { ACCOUNT, calm, Installation } from "./installation.ts";
import { kindsOf, namespace, partsOf, segmentPolicy } from "./segment.ts";

describe("the operator: the order of its writes", function () {
  this.timeout(60_000);
  let installation: Installation;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    const operator = await installation.startOperator("order");
    await operator.untilReady();
    await operator.untilLeading();
  });

  after(() => installation?.stop());

  /** A ready segment in a namespace of its own. */
  async function settled(name: string): Promise<readonly Part[]> {
    await installation.apply(namespace(name, name), segmentPolicy(name));
    return partsOf(await installation.until(name, "Ready", "True"));
  }

  /** The operator's writes to NetworkPolicies of a namespace; one that found its object gone is among them. */
  async function writesIn(place: string, mark: number): Promise<readonly Call[]> {
    const calls = await installation.audit.calls(mark);
    return calls.filter((call) => call.resource === "networkpolicies" && call.namespace === place
      && call.user.endsWith(`:${ACCOUNT.name}`) && ["create", "patch", "delete"].includes(call.verb));
  }

  it("rolls out the quarantine, then the tiers, then the default", async () => {
    const mark = await installation.audit.mark();
    const parts = await settled("roll-out");
    const writes = await writesIn("roll-out", mark);
    assert.deepEqual(writes.map(({ verb }) => verb), ["create", "create", "create", "create"]);
    assert.deepEqual(kindsOf(parts, writes.map(({ name }) => name)), ["quarantine", "tier", "tier", "default"]);
  });

  for (const cascade of ["background", "foreground"]) {
    it(`takes away the default, then the tiers, then the quarantine (--cascade=${cascade})`, async () => {
      const name = `removal-${cascade}`;
      const parts = await settled(name);
      const mark = await installation.audit.mark();
      await installation.kubectl("delete", "segpol", name, `--cascade=${cascade}`);
      await installation.untilNamed(name, []);
      await calm(500);
      const writes = await writesIn(name, mark);
      assert.deepEqual(kindsOf(parts, writes.map((call) => call.name)), ["default", "tier", "tier", "quarantine"]);
      assert.deepEqual([...new Set(writes.map(({ verb }) => verb))], ["delete"]);
    });
  }

  it("puts the new object of a changed podSelector beside the old one, and prunes that last", async () => {
    const before = await settled("moved");
    const mark = await installation.audit.mark();
    const web = { name: "web", ingress: [{ from: [{ anywhere: {} }], ports: [{ port: 8080 }] }] };
    const db = { name: "db", ingress: [{ from: [{ tier: "web" }], ports: [{ port: 5432 }] }] };
    const moved = { ...db, podSelector: { matchLabels: { app: "postgres" } } };
    await installation.apply(segmentPolicy("moved", { tiers: [web, moved] }));
    const after = partsOf(await installation.until("moved", "Ready", "True"));
    const nameOf = (parts: readonly Part[], tier: string) => parts.find((part) => part.tier === tier)?.name;
    assert.notEqual(nameOf(before, "db"), nameOf(after, "db"));
    const writes = await writesIn("moved", mark);
    const told = writes.map(({ verb, name }) => `${verb} ${name}`);
    // The tiers among themselves have no order.
    assert.deepEqual(told.slice(0, 2).toSorted(), [`create ${nameOf(after, "db")}`, `patch ${nameOf(after, "web")}`]);
    assert.deepEqual(told.slice(2), [`delete ${nameOf(before, "db")}`]);
  });

  it("keeps what it wrote when the SegmentPolicy is deleted with --cascade=orphan", async () => {
    const parts = await settled("orphans");
    const mark = await installation.audit.mark();
    await installation.kubectl("delete", "segpol", "orphans", "--cascade=orphan");
    await calm();
    await installation.untilNamed("orphans", parts.map(({ name }) => name));
    assert.deepEqual((await writesIn("orphans", mark)).map(({ verb, name }) => `${verb} ${name}`), []);
    for (const { metadata } of await installation.networkPolicies("orphans")) {
      assert.equal(metadata.ownerReferences, undefined);
    }
  });

  it("takes its orphans over again when the SegmentPolicy comes back", async () => {
    await installation.apply(segmentPolicy("orphans"));
    const { metadata: { uid } } = await installation.until("orphans", "Ready", "True");
    for (const { metadata } of await installation.networkPolicies("orphans")) {
      assert.equal((metadata.ownerReferences?.[0] as { readonly uid?: string } | undefined)?.uid, uid);
    }
  });

  keepsGoodConduct(() => installation);
});
