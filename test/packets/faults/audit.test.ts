import { setTimeout as sleep } from "node:timers/promises";
import type { StateDraft } from "../enforcer-state.ts";
import { tell } from "./scene.ts";
import { ALLOWED, CHANGING, KEPT, NEVER, StreamScene } from "./stream-scene.ts";

/** After so long every probe has its verdict: what comes then does not change it. */
const VERDICT_MS = 1_000;
const WATCHED_MS = 400;
const BACKENDS = ["nft", "legacy"] as const;

/** The same policies, of which those of `web` are only tried out. */
function triedOut({ pods = {}, ...rest }: StateDraft): StateDraft {
  const { web } = pods;
  if (web === undefined) throw new Error("there is no such pod");
  const { ingress = [], ...pod } = web;
  return { ...rest, pods: { ...pods, web: { ...pod, audits: [{ policy: "plan", tier: "web", ingress }] } } };
}

describe("a policy that is enforced, tried out, and enforced again", function () {
  this.timeout(120_000);

  for (const backend of BACKENDS) {
    it(`loses no packet that it allows, and then lets none through that it denies; ${backend}`, async () => {
      const scene = await StreamScene.create({ backend });
      try {
        await scene.enforce(ALLOWED);
        let [tried, enforced] = [0, 0];
        const report = await scene.underProbes(async (vigil) => {
          await sleep(VERDICT_MS + WATCHED_MS);
          tried = vigil.mark("tried out");
          await scene.enforce(triedOut(ALLOWED));
          await scene.assertSlippedIsCut(async () => {
            await scene.enforce(ALLOWED);
            enforced = vigil.mark("enforced again");
          });
        });
        report.assertAll([...KEPT, ...CHANGING], "open");
        report.assertAll(NEVER, "dropped", { to: tried - VERDICT_MS });
        report.assertAll(NEVER, "dropped", { from: enforced });
        tell(report.summary);
      } finally {
        await scene.remove();
      }
    });
  }
});
