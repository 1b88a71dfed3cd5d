import assert from "node:assert/strict";
import { LEASES, objectPath } from "../../../operator/kube/resource.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { ACCOUNT, calm, Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, partsOf, segmentPolicy } from "./segment.ts";

/** The lease's 15 s, and as much again for a busy machine. */
const TAKEOVER_MS = 30_000;
const SEGMENTS = ["one", "two", "three"];
const STATUS_RECONCILES = 'controller_runtime_reconcile_total{controller="status",result="requeue"}';

describe("the operator: replicas and restarts", function () {
  this.timeout(90_000);
  let installation: Installation;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
  });

  after(() => installation?.stop());

  async function holder(): Promise<string | undefined> {
    const lease = await installation.client.request({ method: "GET", path: objectPath(LEASES, ACCOUNT) });
    return (lease as { readonly spec: { readonly holderIdentity?: string } }).spec.holderIdentity;
  }

  /** @returns the credentials that wrote since the mark */
  async function writers(mark: number): Promise<readonly string[]> {
    return [...new Set((await installation.audit.segmentWrites(mark)).map(({ credential }) => credential))];
  }

  async function started(name: string): Promise<OperatorProcess> {
    const operator = await installation.startOperator(name);
    await operator.untilReady();
    return operator;
  }

  async function writesNothing(operator: OperatorProcess, mark: number): Promise<void> {
    // It wrote nothing because there was nothing to write, not because it did nothing.
    const looked = async () => await operator.metric(STATUS_RECONCILES) >= SEGMENTS.length || undefined;
    await operator.until("has looked at the statuses", looked, 5_000);
    await calm(2_500);
    assert.deepEqual(await installation.audit.segmentWrites(mark), []);
    const own = await installation.credentialOf(operator);
    const calls = (await installation.audit.calls(mark)).filter(({ credential }) => credential === own);
    const told = calls.filter(({ resource }) => resource === "events");
    assert.deepEqual(told, [], "nothing has happened, so there is nothing to tell");
  }

  it("writes nothing after kill -9 and a new start", async () => {
    const first = await started("restart-first");
    for (const name of SEGMENTS) {
      await installation.apply(namespace(`${name}-a`, name), namespace(`${name}-b`, name), segmentPolicy(name));
    }
    for (const name of SEGMENTS) await installation.until(name, "Ready", "True", 20_000);
    await calm();
    first.kill();
    const mark = await installation.audit.mark();
    const second = await started("restart-second");
    await second.untilLeading(TAKEOVER_MS);
    await writesNothing(second, mark);
    await second.stop();
  });

  it("writes nothing after SIGTERM and a new start, which leads before it has seen a larger cluster", async () => {
    await installation.crowd("crowd", 2_000);
    const mark = await installation.audit.mark();
    const third = await started("restart-third");
    await third.untilLeading(5_000);
    await writesNothing(third, mark);
    await third.stop();
  });

  it("catches up with what happened while it was down", async () => {
    await installation.kubectl("delete", "segpol", "three", "--cascade=orphan", "--wait=false");
    await installation.kubectl("delete", "namespace", "two-b");
    await installation.apply(namespace("one-c", "one"), segmentPolicy("two", { defaultDeny: "TierPods" }));
    const operator = await started("catch-up");
    await installation.until("one", "Ready", "True");
    const one = partsOf(await installation.policy("one")).map(({ name }) => name);
    await installation.untilNamed("one-c", one);
    const two = partsOf(await installation.until("two", "Ready", "True")).map(({ name }) => name);
    assert.equal(two.length, 3);
    await installation.untilNamed("two-a", two);
    await operator.stop();
  });

  describe("two at once", () => {
    let leader: OperatorProcess;
    let other: OperatorProcess;

    before(async () => {
      leader = await started("replica-a");
      await leader.untilLeading();
      other = await started("replica-b");
    });

    it("only the leader writes, though both are ready", async () => {
      const mark = await installation.audit.mark();
      await installation.apply(namespace("pair", "pair"), segmentPolicy("pair"));
      await installation.until("pair", "Ready", "True");
      await calm();
      assert.deepEqual(await writers(mark), [await installation.credentialOf(leader)]);
      assert.equal(await other.probe("/readyz"), 200);
      assert.equal(await other.metric("leader_election_master_status"), 0);
      assert.equal(await holder(), "replica-a");
    });

    it("the other takes over from a leader killed with -9, and goes on with what it left", async () => {
      const mark = await installation.audit.mark();
      leader.kill();
      await installation.apply(namespace("pair-late", "pair"));
      await other.untilLeading(TAKEOVER_MS);
      const names = partsOf(await installation.policy("pair")).map(({ name }) => name);
      await installation.untilNamed("pair-late", names);
      await installation.untilShown("pair", "2/2", ({ namespaces }) => namespaces?.summary === "2/2");
      assert.deepEqual(await writers(mark), [await installation.credentialOf(other)]);
      assert.equal(await holder(), "replica-b");
      const again = (await installation.audit.segmentWrites(mark)).filter(({ namespace: place }) => place === "pair");
      assert.deepEqual(again, [], "what was in place was written again");
    });

    it("SIGTERM hands the lease over at once", async () => {
      const third = await started("replica-c");
      const start = performance.now();
      const duration = await other.stop();
      assert.ok(duration < 5_000, `it took ${duration} ms to end`);
      await third.untilLeading(5_000);
      // Retries are 2 s and a fifth apart; an expired lease would have taken 15 s.
      assert.ok(performance.now() - start < 6_000, `${performance.now() - start} ms`);
      const mark = await installation.audit.mark();
      await installation.apply(segmentPolicy("pair", { defaultDeny: "TierPods" }));
      await installation.until("pair", "Ready", "True");
      assert.deepEqual(await writers(mark), [await installation.credentialOf(third)]);
      assert.equal(await holder(), "replica-c");
    });
  });

  keepsGoodConduct(() => installation);
});
