import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { waitFor } from "../../lab/wait.ts";
import { Vigil } from "../vigil.ts";
import { LongFlows } from "./long-flows.ts";
import { Scene, tell } from "./scene.ts";
import { DENIED, KEPT, LONG_KEPT, WEBS } from "./webs.ts";

const WATCHED_MS = 300;
const SOON = { timeoutMs: 30_000, everyMs: 20 };

const THEIRS = "-A PREROUTING -j CONNMARK";

interface Intruder {
  readonly name: string;
  readonly backend: Backend;
  /** Which bits they write, given ours. */
  readonly bits: (ours: number) => number;
  /** What the enforcer has left to remember its verdicts by. */
  readonly left: "other bits" | "no bits";
}

const INTRUDERS: readonly Intruder[] = [
  { name: "of our bits", backend: "nft", bits: (ours) => ours, left: "other bits" },
  { name: "of our bits", backend: "legacy", bits: (ours) => ours, left: "other bits" },
  { name: "of the whole mark", backend: "nft", bits: () => 0xffffffff, left: "no bits" },
];

describe("somebody who begins to write connection marks", function () {
  this.timeout(60_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.create();
  });
  afterEach(async () => {
    await scene.quiet();
    for (const backend of ["nft", "legacy"] as const) {
      await scene.onNode(scene.iptables(backend), "-t", "mangle", "-F", "PREROUTING");
    }
  });
  after(() => scene.remove());

  for (const { name, backend, bits, left } of INTRUDERS) {
    it(`${name}: we give way to ${left}, and what their marks let through is cut (${backend})`, async () => {
      await scene.bed.install({ backend, settings: { driftCheckMs: 100 } });
      // New connections are judged whatever mark they bear, so these are from before.
      await scene.bed.apply(scene.cluster({ policies: {} }));
      const slipped = await LongFlows.open(scene, DENIED);
      await scene.bed.apply(scene.cluster(WEBS));
      await sleep(WATCHED_MS);
      const vigil = await Vigil.start(scene, [...KEPT, ...DENIED]);
      const kept = await LongFlows.open(scene, LONG_KEPT);
      const closed = vigil.mark("closed");
      await sleep(WATCHED_MS);
      await slipped.assertSilent(DENIED, closed);
      const { pid } = scene.bed.enforcer("left");
      assert.ok(pid !== undefined);
      process.kill(pid, "SIGSTOP");
      const ours = await field(backend);
      assert.ok(ours !== undefined);
      // The worst that they can write: what our rules take for a verdict.
      const mark = `0x${ours.value.toString(16)}/0x${bits(ours.mask).toString(16)}`;
      await scene.onNode(scene.iptables(backend), "-t", "mangle", ...THEIRS.split(" "), "--set-xmark", mark);
      vigil.mark("the foreign rule");
      await slipped.assertAlive(DENIED);
      await sleep(WATCHED_MS);
      const seen = vigil.mark("the enforcer looks again");
      process.kill(pid, "SIGCONT");
      const moved = await waitFor("our rules leaving these bits", async () => {
        const now = await field(backend);
        const isFree = left === "no bits" ? now === undefined : now !== undefined && (now.mask & ours.mask) === 0;
        return isFree ? vigil.mark("moved") : undefined;
      }, SOON);
      const said = await waitFor("the node saying how it stands", async () => {
        const { status, current } = await scene.bed.enforcer("left").standing();
        const degraded = status?.conditions.find(({ type }) => type === "Degraded")?.reason ?? "nothing";
        return current && (left === "other bits" || degraded !== "nothing") ? degraded : undefined;
      }, SOON);
      // Without marks, flows are looked up and forgotten one by one after the rules stand.
      const held = vigil.mark("confirmed");
      await sleep(WATCHED_MS);
      await slipped.assertSilent(DENIED, held);
      await kept.assertAlive(LONG_KEPT);
      assert.equal(said, left === "no bits" ? "ConnmarkInUse" : "nothing");
      assert.ok((await scene.tables(backend)).some((line) => line.startsWith(THEIRS)), "their rule stays");
      const [report] = await Promise.all([vigil.stop(), kept.end(LONG_KEPT), slipped.end()]);
      tell(`foreign marks ${name}`, backend, report.summary, `given way after ${Math.round(moved - seen)} ms`);
      report.assertAll(KEPT, "open");
      report.assertAll(DENIED, "dropped");
    });
  }

  /** The value and the field of the mark by which our rules know a judged connection. */
  async function field(backend: Backend): Promise<{ readonly value: number; readonly mask: number } | undefined> {
    const lines = (await scene.tables(backend)).filter((line) => /^-A (?:FORWARD|TW-FWD) /.test(line));
    const [, value, mask] = lines.map((line) => line.match(/--mark (0x[0-9a-f]+)\/(0x[0-9a-f]+)/)).find(Boolean) ?? [];
    return value === undefined || mask === undefined ? undefined : { value: Number(value), mask: Number(mask) };
  }
});
