import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import { tell } from "./scene.ts";
import { ALLOWED, CHANGING, DENIED, KEPT, NEVER, StreamScene } from "./stream-scene.ts";
import { endTool, Toolbox } from "./toolbox.ts";

const DRIFT_MS = 200;
/** A check, what it writes, and the status; a busy machine may be so much later. */
const SAID_MS = DRIFT_MS + 5_000;
/** The enforcer waits for up to five seconds before it tries again. */
const MENDED_MS = 5_000 + SAID_MS;
const RESTORE = "iptables-nft-restore";
const WHILE_MS = 500;
/** After so long every probe has its verdict. */
const VERDICT_MS = 1_000;

describe("what a node confirms while its tools are broken", function () {
  this.timeout(120_000);
  let scene: StreamScene;
  let toolbox: Toolbox;

  before(async () => {
    toolbox = await Toolbox.create();
  });
  beforeEach(async () => {
    scene = await StreamScene.create({ driftCheckMs: DRIFT_MS }, undefined, toolbox.folder);
    await scene.enforce(DENIED);
    await scene.node.calm();
  });
  afterEach(async () => {
    await toolbox.mend(RESTORE);
    await scene.remove();
  });
  after(() => toolbox.remove());

  it("nothing, when somebody flushes the rules and they cannot be put back; and all of it once they are", async () => {
    const { node } = scene;
    let [harmed, said, mended, repaired] = [0, 0, 0, 0];
    const report = await scene.underProbes(async (vigil) => {
      await sleep(VERDICT_MS + WHILE_MS);
      await breakRestore();
      harmed = vigil.mark("flushed, and nobody can put it back");
      await node.network.inNode("iptables-nft", "-F", "FORWARD");
      const { conditions, policies } = await scene.untilStatus("nothing is confirmed", confirmsNothing);
      said = vigil.mark("said so");
      assert.match(conditions.map(({ message }) => message).join(), /-restore.*broken on purpose/);
      assert.match(policies.map(({ message }) => message).join(), /-restore.*broken on purpose/);
      await sleep(WHILE_MS);
      await toolbox.mend(RESTORE);
      mended = vigil.mark("the tool is back");
      await scene.untilStatus("all of it is confirmed", confirmsAll);
      repaired = vigil.mark("put right");
      await sleep(WHILE_MS);
    });
    const [late, again] = [said - harmed, repaired - mended].map(Math.round);
    tell(report.summary, `said after ${late} ms, confirmed ${again} ms after the tool was back`);
    report.assertAll(KEPT, "open");
    report.assertAll(NEVER, "dropped", { to: harmed - VERDICT_MS });
    report.assertAll(NEVER, "dropped", { from: repaired });
    assert.ok(said - harmed <= SAID_MS, `said only after ${Math.round(said - harmed)} ms`);
    assert.ok(repaired - mended <= MENDED_MS, `confirmed only after ${Math.round(repaired - mended)} ms`);
  });

  it("what is in force, as long as only something newer cannot be brought about", async () => {
    let mended = 0;
    const report = await scene.underProbes(async (vigil) => {
      await sleep(WHILE_MS);
      await breakRestore();
      vigil.mark("the tool is broken");
      await scene.offer(ALLOWED);
      await scene.order({ do: "hang up" });
      await scene.untilStatus("it cannot be brought about", ({ conditions }) => conditions.some(isUnready));
      // Several attempts, and what were several checks.
      for (let look = 0; look < 8; look += 1) {
        await sleep(DRIFT_MS);
        const { policies } = await scene.untilStatus("it still cannot", ({ conditions }) => conditions.some(isUnready));
        assert.deepEqual(policies.map(({ state, revision }) => [state, revision]), [["Enforced", "r1"]]);
      }
      mended = vigil.mark("the tool is back");
      await toolbox.mend(RESTORE);
      await scene.untilStatus("the newest", (status) => confirmsAll(status) && status.policies[0]?.revision === "r2");
    });
    tell(report.summary);
    report.assertAll(KEPT, "open");
    report.assertAll(NEVER, "dropped");
    report.assertAll(CHANGING, "dropped", { to: mended - VERDICT_MS });
  });

  async function breakRestore(): Promise<void> {
    await toolbox.break(RESTORE, "failing");
    await endTool(scene.node.pid, RESTORE);
  }
});

function isUnready({ type, status }: SegmentNodeStatus["conditions"][number]): boolean {
  return type === "Ready" && status === "False";
}

function confirmsNothing({ policies, conditions }: SegmentNodeStatus): boolean {
  return conditions.some(isUnready) && policies.length > 0 && policies.every(({ state }) => state === "Failed");
}

function confirmsAll({ policies, conditions }: SegmentNodeStatus): boolean {
  return !conditions.some(isUnready) && policies.length > 0 && policies.every(({ state }) => state === "Enforced");
}
