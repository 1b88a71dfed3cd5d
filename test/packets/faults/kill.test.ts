import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { Step } from "../bed/mortal-netfilter.ts";
import { FULL } from "../../depth.ts";
import { type Kill, playKills } from "./kills.ts";
import { Scene } from "./scene.ts";

/** Both changes make a set and a class and let go of one; only the narrowing takes a member out of a set that stays. */
const NARROWING: readonly Step[] = ["fill", "rules", "drain", "generation", "sweep chains", "name", "sweep sets"];
const WIDENING: readonly Step[] = ["fill", "rules", "sweep chains", "name", "sweep sets"];
/** Within so long every step of a change is taken, also those that wait for a look at the kernel. */
const STEP_MS = 20_000;
const BACKENDS: readonly Backend[] = ["nft", "legacy"];

describe("an enforcer that gets kill -9", function () {
  this.timeout(180_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.create();
  });
  afterEach(() => scene.quiet());
  after(() => scene.remove());

  const finished = "no wrong packet, and the next one finishes what it left";
  for (const backend of FULL ? BACKENDS : ["nft"] as const) {
    it(`after any step of a narrowing: ${finished} (${backend})`, async () => {
      await playKills(scene, "narrowing", { backend }, NARROWING.map(killedAfter));
    });
  }

  for (const backend of FULL ? BACKENDS : ["legacy"] as const) {
    it(`after any step of a widening: ${finished} (${backend})`, async () => {
      await playKills(scene, "widening", { backend }, WIDENING.map(killedAfter));
    });
  }
});

function killedAfter(step: Step): Kill {
  return {
    name: `after: ${step}`,
    strike: async (enforcer, change) => {
      await enforcer.killAfter(step);
      const said = change().then(() => "it was confirmed", (error: unknown) => String(error));
      const alive = sleep(STEP_MS, true, { ref: false });
      if (await Promise.race([enforcer.ended, alive]) !== true) return;
      throw new Error(`the step did not come, and the change: ${await said}`);
    },
  };
}
