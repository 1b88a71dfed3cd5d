import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { ClusterDraft } from "../../cases/case.ts";
import { ingressOf } from "../../cases/policies.ts";
import { waitFor } from "../../lab/wait.ts";
import type { NodeLink } from "../bed/node-link.ts";
import type { FirewallOptions } from "../bed/product-agent.ts";
import { type Pair, Vigil } from "../vigil.ts";
import { LongFlows } from "./long-flows.ts";
import { EDGE_MS, type Scene, tcp, tell, udp } from "./scene.ts";

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
/** Sets of either state. */
const SETS = 2;

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

/** Of each state, for probes to be sent in it. */
const WATCHED_MS = 200;
const SOON = { timeoutMs: 20_000, everyMs: 50 };

/** One way to die in the middle of a change. */
export interface Kill {
  /** When. */
  readonly name: string;
  /** Brings the change about as far as that, and returns when the enforcer and what it had started have ended. */
  readonly strike: (enforcer: NodeLink, change: () => Promise<void>) => Promise<void>;
}

/**
 * The same change again and again, under 1 kHz probes, and each time the enforcer is killed in it. The next one finishes
 * what it left, no packet that must pass is lost, and none that must not passes.
 */
export async function playKills(
  scene: Scene, change: "narrowing" | "widening", given: FirewallOptions, kills: readonly Kill[],
): Promise<void> {
  const narrowing = change === "narrowing";
  const [before, after] = narrowing ? [WIDE, NARROW] : [NARROW, WIDE];
  const options: FirewallOptions = { ...given, settings: { driftCheckMs: 200 } };
  await scene.bed.install(options);
  await scene.bed.apply(scene.cluster(before));
  const fast = await Vigil.start(scene, [KEPT, DENIED], 1_000);
  const vigil = await Vigil.start(scene, [...KEPT_TOO, ...DENIED_TOO, ...CHANGING]);
  const kept = await LongFlows.open(scene, LONG_KEPT);
  const spans: { readonly from: number; readonly to: number; readonly wide: boolean }[] = [];
  for (const { name, strike } of kills) {
    const began = vigil.mark("the state before");
    const flows = narrowing ? await LongFlows.open(scene, LONG_CHANGING) : undefined;
    await flows?.assertAlive(LONG_CHANGING);
    await swept(scene, options.backend);
    // However soon that is, some probes have seen the state before.
    await sleep(2 * EDGE_MS);
    const changed = vigil.mark(`the change that is killed ${name}`);
    fast.mark(`the change that is killed ${name}`);
    await strike(scene.bed.enforcer("left"), () => scene.bed.apply(scene.cluster(after)));
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
  tell(`kill -9 ${kills.length} times in a ${change}`, options.backend, quick.summary, report.summary);
  quick.assertAll([KEPT], "open");
  quick.assertAll([DENIED], "dropped");
  report.assertAll(KEPT_TOO, "open");
  report.assertAll(DENIED_TOO, "dropped");
  for (const { from, to, wide } of spans) report.assertAll(CHANGING, wide ? "open" : "dropped", { from, to });
}

/** Nothing of the last change is left to do: a set that still stands would not have to be filled again. */
async function swept(scene: Scene, backend: Backend): Promise<void> {
  await waitFor("the last change being swept up", async () => {
    const sets = (await scene.onNode("ipset", "list", "-n")).split("\n").filter((name) => name.startsWith("TW-"));
    const names = (await scene.tables(backend)).filter((line) => / --comment [0-9a-f]{16} /.test(line));
    return sets.length === SETS && names.length > 0 ? true : undefined;
  }, SOON);
}
