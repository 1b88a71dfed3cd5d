import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../../lab/wait.ts";
import { addForeignRules } from "../foreign-rules.ts";
import { ADDRESSES } from "../bed/address-plan.ts";
import { Vigil } from "../vigil.ts";
import { type Damage, DAMAGES } from "./damage.ts";
import { LongFlows } from "./long-flows.ts";
import { EDGE_MS, Scene, tcp, tell, udp } from "./scene.ts";
import { DENIED, DENIED_ONCE, KEPT, WEBS } from "./webs.ts";

const DRIFT_MS = 200;
/** A busy machine may be so much later. */
const PATIENCE_MS = 5_000;
/** What a hole lets through is watched for so long. */
const HOLE_MS = 250;
const WATCHED_MS = 300;

/** From the other node, and from beside the server. */
const LONG_KEPT = [tcp("shop/d", "shop/a"), udp("shop/b", "shop/a")];

/** A chain, a rule, a set or a member: tables and the kernel's own chains come and go with those. */
const THEIRS = /^(?:-A |:\S+ - |create |add )/;

/** What a damage let through, or kept out, and until when. */
interface Hole {
  readonly effect: Damage["effect"];
  /** Between these two somebody did it. */
  readonly harmed: number;
  readonly done: number;
  /** When the enforcer could look again, and had put it right. */
  readonly seen: number;
  readonly repaired: number;
}

interface Look {
  /** Without generations: each repair is another. */
  readonly ours: string;
  readonly others: string;
}

/** Families differ in nothing here but their tools: a few are enough for the second. */
const PLACES = [
  { family: "ipv4", backend: "nft", damages: DAMAGES },
  { family: "ipv4", backend: "legacy", damages: DAMAGES.filter(({ backends }) => backends.includes("legacy")) },
  { family: "ipv6", backend: "nft", damages: DAMAGES.filter(({ name }) => /flushes|bogus/.test(name)) },
] as const;

for (const { family, backend, damages } of PLACES) {
  describe(`others who meddle with the rules (${family}, ${backend})`, function () {
    this.timeout(60_000);
    let scene: Scene;
    let vigil: Vigil;
    let kept: LongFlows;
    const holes: Hole[] = [];

    before(async () => {
      scene = await Scene.create(family);
      await scene.bed.install({ backend, settings: { driftCheckMs: DRIFT_MS } });
      await addForeignRules({ inNode: (...argv) => scene.onNode(...argv) });
      await scene.bed.apply(scene.cluster(WEBS));
      vigil = await Vigil.start(scene, [...KEPT, ...DENIED]);
      kept = await LongFlows.open(scene, LONG_KEPT);
    });
    afterEach(() => {
      // A test that failed half-way has left it looking away.
      const { pid } = scene.bed.enforcer("left");
      if (pid !== undefined) process.kill(pid, "SIGCONT");
    });
    after(() => scene.remove());

    for (const damage of damages) {
      it(`${damage.name}: put right, and what slipped through is cut`, async () => await play(damage));
    }

    it("all the while nothing was lost but what a hole kept out, and nothing passed but through one", async () => {
      const [report] = await Promise.all([vigil.stop(), kept.end(LONG_KEPT)]);
      tell(`${family} ${backend}`, report.summary);
      let from = -Infinity;
      for (const { effect, harmed, done, seen, repaired } of holes) {
        const whole = { from, to: harmed - EDGE_MS };
        report.assertAll(KEPT, "open", whole);
        report.assertAll(DENIED_ONCE, "dropped", whole);
        const meanwhile = { from: harmed - EDGE_MS, to: repaired };
        if (effect === "opens") {
          report.assertAll(KEPT, "open", meanwhile);
          // Not by UDP, whose clients use a port again that is known as denied.
          report.assertAll([tcp("other/e", "shop/a")], "open", { from: done, to: seen - EDGE_MS });
        } else report.assertAll(DENIED, "dropped", meanwhile);
        report.assertAll(DENIED, "dropped", { from: repaired, to: repaired + WATCHED_MS });
        from = repaired;
      }
      report.assertAll(KEPT, "open", { from });
      report.assertAll(DENIED, "dropped", { from });
    });

    async function play({ name, effect, harm }: Damage): Promise<void> {
      const before = await calm();
      const { pid } = scene.bed.enforcer("left");
      assert.ok(pid !== undefined);
      // It looks away, so that there is time for something to slip through.
      process.kill(pid, "SIGSTOP");
      const harmed = vigil.mark(name);
      await harm(scene, backend);
      const done = vigil.mark("done");
      const slipped = effect === "opens" ? await LongFlows.open(scene, DENIED) : undefined;
      await slipped?.assertAlive(DENIED);
      await kept.assertAlive(LONG_KEPT);
      if (effect === "closes") {
        const probe = { from: "d", to: ADDRESSES.a[family], protocol: "TCP", port: 80 } as const;
        assert.deepEqual(await scene.bed.prober.probe([probe], HOLE_MS), ["dropped"], "it does harm");
      }
      await sleep(HOLE_MS);
      const { others } = await look();
      const seen = vigil.mark("the enforcer looks again");
      process.kill(pid, "SIGCONT");
      const repaired = await waitFor("our rules being as they were", async () => {
        return (await look()).ours === before.ours ? vigil.mark("repaired") : undefined;
      }, { timeoutMs: 20_000, everyMs: 20 });
      await sleep(WATCHED_MS);
      await slipped?.assertSilent(DENIED, repaired);
      await kept.assertAlive(LONG_KEPT);
      assert.equal((await look()).others, others, "others' rules are untouched");
      holes.push({ effect, harmed, done, seen, repaired });
      await slipped?.end();
      tell(name, `${family} ${backend}`, `repaired after ${Math.round(repaired - seen)} ms`);
      assert.ok(repaired - seen <= DRIFT_MS + PATIENCE_MS, `repaired only after ${repaired - seen} ms`);
    }

    async function look(): Promise<Look> {
      const lines = [...(await scene.tables(backend)), ...(await scene.onNode("ipset", "save")).split("\n").toSorted()];
      const first = lines.find((line) => line.startsWith("-A FORWARD ")) ?? "";
      const ours = [isOurs(first) ? "first" : "not first", ...lines.filter(isOurs)];
      const others = lines.filter((line) => THEIRS.test(line) && !isOurs(line));
      return { ours: ours.join("\n").replaceAll(/0x[0-9a-f]+/g, "0x").replaceAll(/(TW-[unpb][0-9a-f]{16})-\d+/g, "$1"), others: others.join("\n") };
    }

    /** When the last sweep is done. */
    async function calm(): Promise<Look> {
      return await waitFor("the rules being at rest", async () => {
        const first = await look();
        await sleep(2 * DRIFT_MS);
        const second = await look();
        return first.ours === second.ours && first.others === second.others ? second : undefined;
      }, { timeoutMs: 20_000 });
    }
  });
}

function isOurs(line: string): boolean {
  return /^:TW-|^-A TW-|-j TW-\S+$|^(?:create|add) TW-/.test(line);
}
