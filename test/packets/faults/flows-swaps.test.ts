import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterDraft, PodHost } from "../../cases/case.ts";
import { ingressOf, only } from "../../cases/policies.ts";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { RawCluster } from "../../cases/raw-cluster.ts";
import { monotonicMs } from "../../lab/prober.ts";
import { patienceMs } from "../bed/node-link.ts";
import { FULL } from "../../depth.ts";
import type { Pair } from "../vigil.ts";
import { clusterOf, openFlows, successor, underProbes, WEBS, withPod } from "./flows-cluster.ts";
import { both, Scene, tcp, tell } from "./scene.ts";

/** Often enough that a moment in between would be met by a probe. */
const TURNS = 15;
const OTHERS = { namespaceSelector: { matchLabels: { team: "other" } } };

const FIRST_WEB = webOn(80, "b");
const THEN_WEB = webOn(81, "d");
const AS_DB = tiered("db");
const AS_CACHE = tiered("cache");

interface Swap {
  readonly name: string;
  readonly states: readonly [ClusterDraft, ClusterDraft];
  /** Allowed in both states: never lost. */
  readonly kept: readonly Pair[];
  /** Allowed in neither: must not pass in between. */
  readonly never: readonly Pair[];
  /** Whose long connections live through it all. */
  readonly staying: PodHost;
}

/** The server is `a`. */
const SWAPS: readonly Swap[] = [
  {
    name: "one peer comes and another goes, for different ports, in one batch",
    states: [FIRST_WEB, THEN_WEB],
    kept: both("other/e", "shop/a"),
    never: [on(81, "shop/b"), on(80, "shop/d")],
    staying: "e",
  },
  {
    name: "a pod moves between classes",
    states: [AS_DB, AS_CACHE],
    kept: both("shop/b", "shop/a"),
    never: [tcp("shop/d", "shop/a"), tcp("other/e", "shop/a")],
    staying: "b",
  },
];

/** What becomes of `b`, whose address another pod has from then on, which may do the same. */
const REUSES: readonly (readonly [string, readonly ((before: RawCluster) => RawCluster)[]])[] = [
  ["deleted in the batch that brings the new one", [succeeded]],
  ["finished, and deleted later", [
    (before) => withPod(before, "b", (pod) => [
      { ...pod, status: { ...pod.status, phase: "Failed" } }, successor(pod, "web"),
    ]),
    succeeded,
  ]],
  ["terminating, and deleted later", [
    (before) => withPod(before, "b", (pod) => [
      { ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } }, successor(pod, "web"),
    ]),
    succeeded,
  ]],
];

describe("changes that give and take in one batch", function () {
  this.timeout(120_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.create();
  });
  after(() => scene.remove());

  for (const [index, { name, states, kept, never, staying }] of SWAPS.entries()) {
    for (const backend of backendsOf(index)) {
      it(`${name} (${backend})`, async () => {
        const { bed } = scene;
        const [first, second] = states.map(clusterOf);
        assert.ok(first !== undefined && second !== undefined);
        await bed.install({ backend });
        await bed.apply(first);
        const flows = await openFlows(bed, staying, "a");
        const report = await underProbes(scene, [...kept, ...never], async (vigil) => {
          for (let turn = 1; turn <= TURNS; turn += 1) {
            vigil.mark(`turn ${turn}`);
            await bed.apply(turn % 2 === 0 ? first : second);
          }
          assert.deepEqual(await bed.prober.echo(flows, patienceMs), flows.map(() => true));
        });
        await bed.prober.close(flows);
        report.assertAll(kept, "open");
        report.assertAll(never, "dropped");
        tell(report.summary, `${TURNS} turns`, "none lost that both states allow, none passed that neither does");
      });
    }
  }

  for (const [index, [name, steps]] of REUSES.entries()) {
    for (const backend of backendsOf(index)) {
      it(`an address whose old pod is ${name}: the new owner's entry stays (${backend})`, async () => {
        const { bed } = scene;
        const before = clusterOf({ policies: { "shop/p": WEBS } });
        const [owner, kept, never] = [both("shop/b", "shop/a"), both("shop/d", "shop/a"), both("other/e", "shop/a")];
        await bed.install({ backend });
        await bed.apply(before);
        let programmed = 0;
        const report = await underProbes(scene, [...owner, ...kept, ...never], async (vigil) => {
          await sleep(300);
          for (const [done, step] of steps.entries()) {
            await bed.apply(step(before));
            const at = vigil.mark(`step ${done + 1} applied`);
            if (done === 0) programmed = at;
            await sleep(500);
          }
        });
        report.assertAll(owner, "open", { from: programmed });
        report.assertAll(kept, "open");
        report.assertAll(never, "dropped");
        tell(report.summary, `the new owner's flows passed from its programming on, for ${seconds(programmed)} s`);
      });
    }
  }
});

/** One in turn. */
function backendsOf(index: number): readonly Backend[] {
  return FULL ? ["nft", "legacy"] : [index % 2 === 0 ? "nft" : "legacy"];
}

function on(port: number, client: string): Pair {
  return { ...tcp(client, "shop/a"), port };
}

/** Only `web` is a web, and webs are served on this port; pods of the other namespace always. */
function webOn(port: number, web: PodHost): ClusterDraft {
  const other = web === "b" ? "d" : "b";
  const ports = [{ port: 5432 }, { port: 80 }, { protocol: "UDP", port: 53 }];
  return {
    pods: { [other]: { labels: { pod: other, tier: "none" } } },
    policies: {
      "shop/webs": ingressOf("a", [{ from: [{ podSelector: { matchLabels: { tier: "web" } } }], ports: [{ port }] }]),
      "shop/others": ingressOf("a", [{ from: [OTHERS], ports }]),
    },
  };
}

/** `a` is of one of two tiers. Both serve `b`; one serves `d` too, elsewhere. */
function tiered(tier: string): ClusterDraft {
  const toB = { from: [{ podSelector: only("b") }] };
  const toD = { from: [{ podSelector: only("d") }], ports: [{ port: 81 }] };
  const policy = (of: string, ingress: readonly object[]) => (
    { spec: { podSelector: { matchLabels: { tier: of } }, policyTypes: ["Ingress"], ingress } }
  );
  return {
    pods: { a: { labels: { pod: "a", tier } } },
    policies: { "shop/db": policy("db", [toB]), "shop/cache": policy("cache", [toB, toD]) },
  };
}

function succeeded(before: RawCluster): RawCluster {
  return withPod(before, "b", (pod) => [successor(pod, "web")]);
}

function seconds(since: number): string {
  return ((monotonicMs() - since) / 1_000).toFixed(1);
}
