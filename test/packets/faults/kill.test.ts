import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { ClusterDraft } from "../../cases/case.ts";
import { ingressOf } from "../../cases/policies.ts";
import { waitFor } from "../../lab/wait.ts";
import type { NodeLink } from "../bed/node-link.ts";
import type { Step } from "../bed/mortal-netfilter.ts";
import { FULL } from "../../depth.ts";
import { type Pair, Vigil } from "../vigil.ts";
import { LongFlows } from "./long-flows.ts";
import { EDGE_MS, Scene, tcp, tell, udp } from "./scene.ts";

const SHOP = { namespaceSelector: { matchLabels: { team: "shop" } } };
const WEBS = ingressOf("a", [{ from: [{ podSelector: { matchLabels: { tier: "web" } } }] }]);

/** `b` is a web, and all of the shop may talk to `c`. */
const WIDE: ClusterDraft = { policies: { "shop/webs": WEBS, "other/c": ingressOf("c", [{ from: [SHOP] }]) } };
/** `b` is none any more, and only `d` may. */
const NARROW: ClusterDraft = {
  policies: {
    "shop/webs": WEBS,
    "other/c": ingressOf("c", [{ from: [{ ...SHOP, podSelector: { matchLabels: { pod: "d" } } }] }]),
  },
  pods: { b: { labels: { pod: "b", tier: "retired" } } },
};
/** Both changes make a set and a class and let go of one; only the narrowing takes a member out of a set that stays. */
/** Sets of either state. */
const SETS = 2;
const NARROWING: readonly Step[] = ["fill", "rules", "drain", "generation", "sweep chains", "name", "sweep sets"];
const WIDENING: readonly Step[] = ["fill", "rules", "sweep chains", "name", "sweep sets"];

/** At 1 kHz. */
const KEPT = udp("shop/d", "shop/a");
const DENIED = udp("other/e", "shop/a");
/** At 200 Hz. */
const KEPT_TOO = [tcp("shop/d", "shop/a"), tcp("shop/d", "other/c")];
const DENIED_TOO = [tcp("other/c", "shop/a"), tcp("other/e", "other/c")];
/** Not by TCP: a SYN is said again after a second, when all may be otherwise. */
const CHANGING = [udp("shop/b", "shop/a"), udp("shop/b", "other/c")];
const LONG_CHANGING = [tcp("shop/b", "shop/a"), udp("shop/b", "other/c")];
const LONG_KEPT: readonly Pair[] = [tcp("shop/d", "shop/a"), udp("shop/d", "other/c")];

/** Within so long every step of a change is taken, also those that wait for a look at the kernel. */
const STEP_MS = 20_000;
/** Of each state, for probes to be sent in it. */
const WATCHED_MS = 200;
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
      await throughAll(NARROWING, WIDE, NARROW, backend);
    });
  }

  for (const backend of FULL ? BACKENDS : ["legacy"] as const) {
    it(`after any step of a widening: ${finished} (${backend})`, async () => {
      await throughAll(WIDENING, NARROW, WIDE, backend);
    });
  }

  /** Nothing of the last change is left to do: a set that still stands would not have to be filled again. */
  async function swept(backend: Backend): Promise<void> {
    await waitFor("the last change being swept up", async () => {
      const sets = (await scene.onNode("ipset", "list", "-n")).split("\n").filter((name) => name.startsWith("TW-"));
      const names = (await scene.tables(backend)).filter((line) => / --comment [0-9a-f]{16} /.test(line));
      return sets.length === SETS && names.length > 0 ? true : undefined;
    }, { timeoutMs: 20_000, everyMs: 50 });
  }

  async function throughAll(
    steps: readonly Step[], before: ClusterDraft, after: ClusterDraft, backend: Backend,
  ): Promise<void> {
    const options = { backend, settings: { driftCheckMs: 200 } };
    await scene.bed.install(options);
    await scene.bed.apply(scene.cluster(before));
    const narrowing = before === WIDE;
    const fast = await Vigil.start(scene, [KEPT, DENIED], 1_000);
    const vigil = await Vigil.start(scene, [...KEPT_TOO, ...DENIED_TOO, ...CHANGING]);
    const kept = await LongFlows.open(scene, LONG_KEPT);
    const spans: { readonly from: number; readonly to: number; readonly wide: boolean }[] = [];
    for (const step of steps) {
      const began = vigil.mark("the state before");
      const flows = narrowing ? await LongFlows.open(scene, LONG_CHANGING) : undefined;
      await flows?.assertAlive(LONG_CHANGING);
      await swept(backend);
      // However soon that is, some probes have seen the state before.
      await sleep(2 * EDGE_MS);
      const enforcer = scene.bed.enforcer("left");
      await enforcer.killAfter(step);
      const changed = vigil.mark(`the change that is killed after: ${step}`);
      fast.mark(`the change that is killed after: ${step}`);
      await killed(enforcer, scene.bed.apply(scene.cluster(after)));
      await kept.assertAlive(LONG_KEPT);
      await scene.bed.revive("left", options);
      const held = vigil.mark("the new enforcer has applied it");
      await kept.assertAlive(LONG_KEPT);
      await sleep(WATCHED_MS);
      await flows?.assertSilent(LONG_CHANGING, held);
      await flows?.end();
      const over = vigil.mark("back");
      await scene.bed.apply(scene.cluster(before));
      spans.push({ from: began, to: changed - EDGE_MS, wide: narrowing });
      spans.push({ from: held, to: over - EDGE_MS, wide: !narrowing });
    }
    const [quick, report] = await Promise.all([fast.stop(), vigil.stop(), kept.end(LONG_KEPT)]);
    tell(`kill -9 after each of ${steps.length} steps`, backend, quick.summary, report.summary);
    quick.assertAll([KEPT], "open");
    quick.assertAll([DENIED], "dropped");
    report.assertAll(KEPT_TOO, "open");
    report.assertAll(DENIED_TOO, "dropped");
    for (const { from, to, wide } of spans) report.assertAll(CHANGING, wide ? "open" : "dropped", { from, to });
  }
});

/** Waits for the end of an enforcer that is in the middle of a change. */
async function killed(enforcer: NodeLink, change: Promise<void>): Promise<void> {
  const said = change.then(() => "it was confirmed", (error: unknown) => String(error));
  const alive = sleep(STEP_MS, true, { ref: false });
  if (await Promise.race([enforcer.ended, alive]) !== true) return;
  throw new Error(`the step did not come, and the change: ${await said}`);
}
