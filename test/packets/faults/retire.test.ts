import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { FULL } from "../../depth.ts";
import { LeavingScene } from "./leaving-scene.ts";
import { EDGE_MS, tell } from "./scene.ts";
import { CHANGING, KEPT, NEVER } from "./stream-scene.ts";

const WATCHED_MS = 400;
/** What is seen: all that was allowed, and of what was denied nothing before. */
const SEEN = "no allowed packet is lost, and what was denied passes only once the rules are gone";

interface Leaving {
  readonly name: string;
  /** @param begins to be called when the next thing touches the rules */
  readonly leave: (scene: LeavingScene, begins: () => void) => Promise<void>;
}

const ON_WORD: Leaving = {
  name: "on the operator's word",
  leave: async (scene, begins) => await scene.retire(begins),
};
const BY_HAND: Leaving = {
  name: "by hand, after the enforcer has ended",
  leave: async (scene, begins) => {
    await scene.node.kill("SIGTERM");
    begins();
    await scene.cleanUp();
  },
};
/** Each way in one backend and each backend in one way; in a full run both in both. */
const PLAYED = { nft: FULL ? [ON_WORD, BY_HAND] : [ON_WORD], legacy: FULL ? [ON_WORD, BY_HAND] : [BY_HAND] } as const;

for (const backend of ["nft", "legacy"] as const) {
  describe(`uninstall leaves nothing, under probes: ${backend}`, function () {
    this.timeout(120_000);
    let scene: LeavingScene;

    before(async () => {
      scene = await LeavingScene.create(backend);
      scene.node.start();
    });
    after(() => scene?.remove());

    for (const { name, leave } of PLAYED[backend]) {
      it(`${name}: ${SEEN}`, async () => {
        await scene.enforce();
        assert.equal(await scene.isAsBefore(), false, "there is something to take away");
        let [asked, gone] = [0, 0];
        const report = await scene.underProbes(async (vigil) => {
          await sleep(WATCHED_MS);
          await leave(scene, () => (asked = vigil.mark("told to leave")));
          gone = vigil.mark("gone");
          await sleep(WATCHED_MS);
        });
        assert.ok(await scene.isAsBefore(), "the kernel is as it was before us");
        report.assertAll([...KEPT, ...CHANGING], "open");
        report.assertAll(NEVER, "dropped", { to: asked - EDGE_MS });
        report.assertAll(NEVER, "open", { from: gone });
        tell(`left within ${Math.round(gone - asked)} ms`, report.summary);
      });
    }
  });
}
