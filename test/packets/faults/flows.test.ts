import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { PodHost } from "../../cases/case.ts";
import type { RawCluster } from "../../cases/raw-cluster.ts";
import { monotonicMs } from "../../lab/prober.ts";
import { leaversMs, patienceMs } from "../bed/node-link.ts";
import type { Flow } from "../bed/prober.ts";
import { FULL } from "../../depth.ts";
import { clusterOf, onlyFor, openFlows, successor, underProbes, WEBS, withPod } from "./flows-cluster.ts";
import { both, EDGE_MS, Scene, tcp, tell } from "./scene.ts";

interface Fault {
  readonly name: string;
  /** Of changes one right after the other; the last one is the fault. */
  readonly changes: readonly ((before: RawCluster) => RawCluster)[];
  /** Who loses what it had: `b` lives beside the server, `d` on the other node. The other one loses nothing. */
  readonly loser: "b" | "d";
  /** Live connections end with the change; absent = within `leaversMs`, as those of peers that leave. */
  readonly atOnce?: boolean;
  /** Default: both. */
  readonly backends?: readonly Backend[];
}

const BOTH: readonly Backend[] = ["nft", "legacy"];
/** Which backend it is matters little here, but for what changes rules and not only members. */
const NFT: readonly Backend[] = FULL ? BOTH : ["nft"];
const LEGACY: readonly Backend[] = FULL ? BOTH : ["legacy"];

/** The server is `a`. */
const FAULTS: readonly Fault[] = [
  {
    name: "policy narrowed", loser: "b", atOnce: true,
    changes: [() => clusterOf({ policies: { "shop/p": onlyFor("d") } })],
  },
  { name: "peer relabelled", loser: "b", changes: [relabelled("b")], backends: LEGACY },
  { name: "peer on another node relabelled", loser: "d", changes: [relabelled("d")], backends: NFT },
  { name: "peer on another node deleted", loser: "d", changes: [(before) => withPod(before, "d")], backends: LEGACY },
  {
    name: "peer relabelled right after another one has gone", loser: "b", backends: NFT,
    changes: [(before) => withPod(before, "ghost"), relabelled("b")],
  },
  {
    name: "peer's address in another pod's hands, in one batch", loser: "b", atOnce: true, backends: NFT,
    changes: [(before) => withPod(before, "b", (pod) => [successor(pod, "none")])],
  },
];

/** A web that nobody asks for anything. */
const GHOST = { node: "right", labels: { tier: "web" }, addresses: () => ["10.101.2.77"] } as const;
const NEVER = [tcp("other/e", "shop/a")];
const WATCHED_MS = 300;
/** TCP puts an acknowledgement off for so long at most. */
const ACKNOWLEDGED_MS = 250;

describe("live connections when something narrows", function () {
  this.timeout(120_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.create();
  });
  after(() => scene.remove());

  for (const { name, loser, changes, atOnce = false, backends = BOTH } of FAULTS) {
    for (const backend of backends) {
      it(`${name} (${backend})`, async () => {
        const { bed } = scene;
        const before = clusterOf({ policies: { "shop/p": WEBS }, ghosts: { ghost: GHOST } });
        await bed.install({ backend });
        await bed.apply(before);
        const keeper = loser === "b" ? "d" : "b";
        const [loses, keeps] = [both(`shop/${loser}`, "shop/a"), both(`shop/${keeper}`, "shop/a")];
        const speaking = await openFlows(bed, loser, "a");
        const silent = await openFlows(bed, loser, "a");
        const staying = await openFlows(bed, keeper, "a");
        let [begun, applied, cut, pushes] = [0, 0, 0, 0];
        const report = await underProbes(scene, [...loses, ...keeps, ...NEVER], async (vigil) => {
          await sleep(EDGE_MS + WATCHED_MS);
          begun = vigil.mark(name);
          for (const change of changes) await bed.apply(change(before));
          applied = vigil.mark("applied");
          cut = await untilCut(speaking, atOnce ? 0 : leaversMs + patienceMs);
          const pushed = bed.prober.push(speaking);
          pushes = (await bed.prober.push(silent)).filter(Boolean).length;
          await sleep(ACKNOWLEDGED_MS);
          const again = await bed.prober.push(silent);
          assert.deepEqual([again[0], again[2]], [false, false], "a TCP client's acknowledgement was its word");
          assert.deepEqual(await pushed, speaking.map(() => false), "the server falls silent too");
          assert.deepEqual(await bed.prober.echo(silent), silent.map(() => false));
          assert.deepEqual(await bed.prober.push(silent), silent.map(() => false));
          assert.deepEqual(await bed.prober.echo(staying, patienceMs), staying.map(() => true));
          assert.deepEqual(await bed.prober.push(staying, patienceMs), staying.map(() => true));
        });
        await bed.prober.close([...speaking, ...silent, ...staying]);
        report.assertAll(keeps, "open");
        report.assertAll(NEVER, "dropped");
        report.assertAll(loses, "open", { to: begun - EDGE_MS });
        report.assertAll(loses, "dropped", { from: applied });
        tell(
          report.summary, "no new flow passed",
          cut > applied ? `clients were last answered ${Math.round(cut - applied)} ms after` : "no client was answered",
          `${pushes} of ${silent.length} pushes came through to clients that had not spoken`,
        );
      });
    }
  }

  /** When one of them last spoke that was answered; 0 if none was. */
  async function untilCut(flows: readonly Flow[], withinMs: number): Promise<number> {
    const began = monotonicMs();
    for (let last = 0; ; ) {
      const asked = monotonicMs();
      const answers = await scene.bed.prober.echo(flows);
      if (!answers.includes(true)) return last;
      assert.ok(asked < began + withinMs, `${Math.round(asked - began)} ms after the change: ${answers.join()}`);
      last = asked;
    }
  }
});

function relabelled(pod: PodHost): Fault["changes"][number] {
  return () => clusterOf({ pods: { [pod]: { labels: { pod, tier: "none" } } }, policies: { "shop/p": WEBS } });
}
