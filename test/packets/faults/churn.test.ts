import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../../lab/wait.ts";
import { tell } from "./scene.ts";
import type { Churned } from "./stream-operator.ts";
import { ALLOWED, CHANGING, DENIED, KEPT, NEVER, StreamScene } from "./stream-scene.ts";

const SOON = { timeoutMs: 30_000, everyMs: 50 };
const CHURN = { do: "churn", set: "webs", perSecond: 1_000, seconds: 6 } as const;

describe("large sets", function () {
  this.timeout(180_000);
  let scene: StreamScene;

  beforeEach(async () => {
    scene = await StreamScene.create();
  });
  afterEach(() => scene.remove());

  it("10,000 members under 1,000 changes a second: those that stay are never lost, strangers never pass", async () => {
    await scene.enforce(ALLOWED, { set: "webs", members: 10_000 });
    let churned: Churned = { changes: 0, last: "", milliseconds: 0 };
    let behindMs = 0;
    const report = await scene.underProbes(async (vigil) => {
      churned = await scene.order<Churned>(CHURN);
      const over = vigil.mark("the last change");
      const arrived = async () => (await saved()).includes(` ${churned.last}\n`) || undefined;
      await waitFor("the last member in the kernel", arrived, SOON);
      behindMs = vigil.mark("the kernel has it") - over;
    });
    report.assertAll([...KEPT, ...CHANGING], "open");
    report.assertAll(NEVER, "dropped");
    assert.equal(churned.changes, CHURN.perSecond * CHURN.seconds);
    assert.equal((await saved()).match(/ 172\./g)?.length, 10_000, "as many as before, others");
    tell(
      report.summary, `${churned.changes} changes in ${churned.milliseconds} ms`,
      `the kernel had the last ${Math.round(behindMs)} ms after it`,
    );
  });

  it("200,000 members work like any other number", async () => {
    await scene.enforce(DENIED);
    let [took, confirmed] = [0, 0];
    const report = await scene.underProbes(async (vigil) => {
      await sleep(500);
      const began = vigil.mark("200,000 members");
      await scene.enforce(ALLOWED, { set: "webs", members: 200_000 });
      confirmed = vigil.mark("confirmed");
      took = confirmed - began;
      await sleep(500);
    });
    report.assertAll(KEPT, "open");
    report.assertAll(NEVER, "dropped");
    report.assertAll(CHANGING, "open", { from: confirmed });
    tell(report.summary, `200,001 members in force and confirmed after ${Math.round(took)} ms`);
  });

  async function saved(): Promise<string> {
    return await scene.node.network.inNode("ipset", "save");
  }
});
