import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { diskCopyPath } from "../../../operator/enforcer/node-memory.ts";
import { monotonicMs } from "../../lab/prober.ts";
import { until } from "../enforced-node.ts";
import { tell } from "./scene.ts";
import { CHANGING, DENIED, KEPT, NEVER, StreamScene } from "./stream-scene.ts";

/** After so long every probe has its verdict: what comes then does not change it. */
const WHILE_MS = 1_000;

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
    const report = await scene.underProbes(async (vigil, hold) => {
      await sleep(2 * WHILE_MS);
      rebooted = vigil.mark("rebooted");
      await node.reboot();
      const slipped = await scene.hold("never");
      try {
        node.start();
        await node.untilSaid(/disk copy applied/);
        applied = vigil.mark("disk copy applied");
        const since = monotonicMs();
        await sleep(WHILE_MS);
        const { echoes, lastEchoAtMs } = await slipped.hold.look();
        assert.ok(echoes > 0, "nothing slipped through");
        assert.ok(lastEchoAtMs <= since, `it was answered ${Math.round(lastEchoAtMs - since)} ms too late`);
      } finally {
        await slipped.prober.stop();
      }
      assert.ok((await hold.release()).open);
    });
    report.assertAll(KEPT, "open");
    report.assertAll([...NEVER, ...CHANGING], "dropped", { to: rebooted - WHILE_MS });
    report.assertAll([...NEVER, ...CHANGING], "dropped", { from: applied });
    tell(report.summary, `in force ${Math.round(applied - rebooted)} ms after the reboot, the enforcer's start included`);
  });

  for (const [name, damage, reason] of REFUSED) {
    it(`${name}: it is refused, and what the kernel holds stays in force`, async () => {
      const { node } = scene;
      const rules = await node.rules();
      const report = await scene.underProbes(async (_, hold) => {
        await node.kill("SIGKILL");
        await writeFile(copy, damage(await readFile(copy, "utf8")));
        node.start();
        const { reason: said } = await node.untilSaid(/the disk copy/);
        assert.match(String(said), reason);
        await sleep(WHILE_MS);
        assert.ok((await hold.release()).open);
      });
      assert.equal(await node.rules(), rules);
      report.assertAll(KEPT, "open");
      report.assertAll([...NEVER, ...CHANGING], "dropped");
      tell(report.summary);
    });
  }
});
