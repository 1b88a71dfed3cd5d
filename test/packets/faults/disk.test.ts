import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { diskCopyPath } from "../../../operator/enforcer/node-memory.ts";
import { until } from "../enforced-node.ts";
import { tell } from "./scene.ts";
import { CHANGING, DENIED, KEPT, NEVER, StreamScene } from "./stream-scene.ts";

/** After so long every probe has its verdict: what comes then does not change it. */
const VERDICT_MS = 1_000;
const WATCHED_MS = 400;

/** What may have become of a copy, and how the enforcer calls that. */
const REFUSED: readonly (readonly [name: string, damage: (text: string) => string, reason: RegExp])[] = [
  ["truncated", (text) => text.slice(0, text.length / 2), /it ends before its checksum/],
  ["of a future version", (text) => text.replace('"format":1', '"format":9'), /its format is 9/],
];

describe("the disk copy, with the operator away", function () {
  this.timeout(120_000);
  let scene: StreamScene;
  let copy: string;

  beforeEach(async () => {
    scene = await StreamScene.create({ diskCopyMs: 50 });
    await scene.enforce(DENIED);
    copy = diskCopyPath(scene.node.stateDirectory);
    await until("the copy", async () => (await readFile(copy, "utf8").catch(() => "")).includes('"r1"') || undefined);
    await scene.node.calm();
    await scene.order({ do: "away", on: true });
    await scene.order({ do: "hang up" });
  });
  afterEach(() => scene.remove());

  it("reboot: it is in force before anybody is reached, cuts what slipped through, and never what it allows", async () => {
    const { node } = scene;
    let [rebooted, applied] = [0, 0];
    // No connection outlives a reboot. One that the lab keeps through it may be tracked anew from an answer on, and then
    // as one of the other direction, which is denied.
    const report = await scene.underNewFlows(async (vigil) => {
      await sleep(VERDICT_MS + WATCHED_MS);
      rebooted = vigil.mark("rebooted");
      await node.reboot();
      await scene.assertSlippedIsCut(async () => {
        node.start();
        await node.untilSaid(/disk copy applied/);
        applied = vigil.mark("disk copy applied");
      });
    });
    report.assertAll(KEPT, "open");
    report.assertAll([...NEVER, ...CHANGING], "dropped", { to: rebooted - VERDICT_MS });
    report.assertAll([...NEVER, ...CHANGING], "dropped", { from: applied });
    tell(report.summary, `in force ${Math.round(applied - rebooted)} ms after the reboot, the enforcer's start included`);
  });

  it("iptables -F while no enforcer runs: the next one puts it in force, and cuts what slipped through", async () => {
    const { node } = scene;
    const rules = await node.rules();
    let [flushed, applied] = [0, 0];
    const report = await scene.underProbes(async (vigil) => {
      await sleep(VERDICT_MS + WATCHED_MS);
      await node.kill("SIGKILL");
      flushed = vigil.mark("flushed");
      await node.network.inNode("iptables-nft", "-F");
      await scene.assertSlippedIsCut(async () => {
        node.start();
        await node.untilSaid(/disk copy applied/);
        applied = vigil.mark("disk copy applied");
      });
    });
    assert.equal(shapeOf(await node.calm()), shapeOf(rules));
    report.assertAll(KEPT, "open");
    report.assertAll([...NEVER, ...CHANGING], "dropped", { to: flushed - VERDICT_MS });
    report.assertAll([...NEVER, ...CHANGING], "dropped", { from: applied });
    tell(report.summary, `in force ${Math.round(applied - flushed)} ms after the flush, the enforcer's start included`);
  });

  for (const [name, damage, reason] of REFUSED) {
    it(`${name}: it is refused, and what the kernel holds stays in force`, async () => {
      const { node } = scene;
      const rules = await node.rules();
      const report = await scene.underProbes(async () => {
        await node.kill("SIGKILL");
        await writeFile(copy, damage(await readFile(copy, "utf8")));
        node.start();
        const { reason: said } = await node.untilSaid(/the disk copy/);
        assert.match(String(said), reason);
        await sleep(WATCHED_MS);
      });
      assert.equal(await node.rules(), rules);
      report.assertAll(KEPT, "open");
      report.assertAll([...NEVER, ...CHANGING], "dropped");
      tell(report.summary);
    });
  }
});

/** The rules but for their generation, which is another after each repair. */
function shapeOf(rules: string): string {
  return rules.replaceAll(/0x[0-9a-f]+/g, "0x");
}
