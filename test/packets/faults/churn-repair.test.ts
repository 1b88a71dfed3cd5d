import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { HOSTS } from "../enforcer-cases.ts";
import { tell } from "./scene.ts";
import { ALLOWED, CHANGING, KEPT, NEVER, StreamScene } from "./stream-scene.ts";

const [DB] = HOSTS.db;
/** As it is documented, with the settings that people have. */
const PUT_RIGHT_MS = 5_000;
const { driftCheckMs } = DEFAULT_ENFORCER_SETTINGS;
/**
 * A hundred states a second, each with one peer more: none of them is a reason to touch what the damage is in, and none
 * has the enforcer look at the kernel.
 */
const CHURN = { do: "churn", set: "webs", perSecond: 100, seconds: 8, grow: true } as const;
const WHILE_MS = 1_500;
/** After so long every probe has its verdict. */
const VERDICT_MS = 1_000;

describe("damage on a node whose state changes all the time", function () {
  this.timeout(120_000);
  let scene: StreamScene;

  beforeEach(async () => {
    scene = await StreamScene.create({ driftCheckMs });
    await scene.enforce(ALLOWED, { set: "webs", members: 100 });
  });
  afterEach(() => scene.remove());

  it("a jump that is torn out is back within 5 s, and what slipped through is cut", async () => {
    await play(async () => await inNode("iptables-nft", "-F", "FORWARD"));
  });

  it("a member that nobody added is gone within 5 s, and what slipped through is cut", async () => {
    await play(async () => {
      const sets = (await inNode("ipset", "save")).split("\n").filter((line) => line.startsWith("create TW-u"));
      for (const set of sets) await inNode("ipset", "-exist", "add", set.split(" ")[1] ?? "", DB);
    });
  });

  async function play(harm: () => Promise<unknown>): Promise<void> {
    let [harmed, seen, repaired] = [0, 0, 0];
    const report = await scene.underProbes(async (vigil) => {
      const churned = scene.order(CHURN);
      await sleep(WHILE_MS);
      await scene.assertCut(async () => {
        harmed = vigil.mark("the damage");
        await harm();
      }, async () => {
        seen = vigil.mark("the enforcer goes on");
        await scene.node.untilSaid(/drift corrected/);
        repaired = vigil.mark("put right");
      });
      await churned;
    });
    tell(report.summary, `put right ${Math.round(repaired - seen)} ms after the enforcer could look`);
    report.assertAll([...KEPT, ...CHANGING], "open");
    report.assertAll(NEVER, "dropped", { to: harmed - VERDICT_MS });
    report.assertAll(NEVER, "dropped", { from: repaired });
    assert.ok(repaired - seen <= PUT_RIGHT_MS, `put right only after ${Math.round(repaired - seen)} ms`);
  }

  async function inNode(...argv: readonly string[]): Promise<string> {
    return await scene.node.network.inNode(...argv);
  }
});
