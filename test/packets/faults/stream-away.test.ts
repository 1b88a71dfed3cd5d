import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { diskCopyPath } from "../../../operator/enforcer/node-memory.ts";
import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import { until } from "../enforced-node.ts";
import { tell } from "./scene.ts";
import { ALLOWED, CHANGING, DENIED, KEPT, NEVER, StreamScene } from "./stream-scene.ts";

const WATCHED_MS = 400;
/** After so long every probe has its verdict: what comes then does not change it. */
const VERDICT_MS = 1_000;

describe("the enforcer's wires, when nobody is at their other end", function () {
  this.timeout(120_000);
  let scene: StreamScene;

  beforeEach(async () => {
    scene = await StreamScene.create();
    await scene.enforce(DENIED);
  });
  afterEach(() => scene.remove());

  it("operator away for the enforcer's whole run: the node keeps what is in force, and puts it right", async () => {
    const { node } = scene;
    const copy = diskCopyPath(node.stateDirectory);
    await until("the copy", async () => (await readFile(copy, "utf8").catch(() => "")).includes('"r1"') || undefined);
    const rules = await node.calm();
    await scene.order({ do: "away", on: true });
    await scene.order({ do: "hang up" });
    let [harmed, repaired] = [0, 0];
    const report = await scene.underProbes(async (vigil) => {
      await node.kill("SIGKILL");
      node.start();
      await scene.untilStatus("the disk copy is in force", ({ conditions }) => {
        return conditions.some(({ status, reason }) => status === "True" && reason === "EnforcingDiskCopy");
      });
      await sleep(VERDICT_MS + WATCHED_MS);
      assert.equal(await node.rules(), rules);
      await scene.assertCut(async () => {
        harmed = vigil.mark("flushed");
        await node.network.inNode("iptables-nft", "-F", "FORWARD");
      }, async () => {
        await node.untilSaid(/drift corrected/);
        repaired = vigil.mark("put right");
      });
      await sleep(WATCHED_MS);
    });
    report.assertAll(KEPT, "open");
    report.assertAll(NEVER, "dropped", { to: harmed - VERDICT_MS });
    report.assertAll(NEVER, "dropped", { from: repaired });
    tell(report.summary, `a flush was put right after ${Math.round(repaired - harmed)} ms without an operator`);
  });

  it("API server in a black hole: changes are enforced all the same, and confirmed once it is back", async () => {
    await scene.order({ do: "black hole", on: true });
    let begun = 0;
    let applied = 0;
    const report = await scene.underProbes(async (vigil) => {
      await sleep(WATCHED_MS);
      const enforced = scene.saidAgain("state applied");
      begun = vigil.mark("allowed");
      await scene.offer(ALLOWED);
      await scene.order({ do: "hang up" });
      await enforced();
      applied = vigil.mark("applied");
      await sleep(WATCHED_MS);
    });
    report.assertAll(KEPT, "open");
    report.assertAll(NEVER, "dropped");
    report.assertAll(CHANGING, "dropped", { to: begun });
    report.assertAll(CHANGING, "open", { from: applied });
    await scene.order({ do: "black hole", on: false });
    const newest = (status: SegmentNodeStatus) => status.policies.some(({ revision }) => revision === "r2");
    const { policies } = await scene.untilStatus("the newest", newest);
    assert.deepEqual(policies.map(({ state }) => state), ["Enforced"]);
    tell(report.summary, `enforced ${Math.round(applied - begun)} ms after it was offered, reconnection included`);
  });
});
