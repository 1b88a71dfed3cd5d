import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { ClusterDraft } from "../../cases/case.ts";
import { ingressOf } from "../../cases/policies.ts";
import { monotonicMs } from "../../lab/prober.ts";
import { waitFor } from "../../lab/wait.ts";
import type { FirewallOptions } from "../bed/product-agent.ts";
import { Vigil } from "../vigil.ts";
import { withPod } from "./flows-cluster.ts";
import { LongFlows } from "./long-flows.ts";
import { both, EDGE_MS, Scene, tell } from "./scene.ts";
import { type Breakage, endTool, isHanging, Toolbox } from "./toolbox.ts";
import { DENIED, KEPT, LONG_KEPT, WEBS } from "./webs.ts";

/** Takes a member out of a set, a class, and its set: every tool is needed for it. */
const NARROW: ClusterDraft = {
  policies: { "shop/webs": ingressOf("a", [{ from: [{ podSelector: { matchLabels: { pod: "d" } } }] }]) },
};

const CHANGING = both("shop/b", "shop/a");
const WATCHED_MS = 300;
/** Long enough for all that is as it should be. */
const STALLED_MS = 2_000;
/** The enforcer waits for up to five seconds before it tries again, and machines are busy. */
const SOON = { timeoutMs: 30_000, everyMs: 20 };

interface Scarcity {
  readonly backend: Backend;
  readonly tool: "restore" | "save" | "ipset";
  readonly how: Breakage;
  readonly says: RegExp;
}

const SCARCITIES: readonly Scarcity[] = [
  { backend: "nft", tool: "restore", how: "missing", says: /IptablesMissing: .*-restore is not installed/ },
  { backend: "legacy", tool: "restore", how: "failing", says: /ApplyFailed: .*-restore.*broken on purpose/ },
  { backend: "nft", tool: "save", how: "failing", says: /ApplyFailed: .*-save.*broken on purpose/ },
  { backend: "nft", tool: "ipset", how: "missing", says: /IpsetMissing: ipset is not installed/ },
  { backend: "legacy", tool: "ipset", how: "failing", says: /ApplyFailed: ipset.*broken on purpose/ },
];

describe("tools that are not what they were", function () {
  this.timeout(90_000);
  let scene: Scene;
  let toolbox: Toolbox;

  before(async () => {
    toolbox = await Toolbox.create();
    scene = await Scene.create();
  });
  afterEach(() => scene.quiet());
  after(async () => {
    await scene.remove();
    await toolbox.remove();
  });

  for (const { backend, tool, how, says } of SCARCITIES) {
    it(`${nameOf(tool, backend)} ${how}: said, no wrong packet, and made good once it is back`, async () => {
      const program = nameOf(tool, backend);
      const end = await begin(backend);
      await toolbox.break(program, how);
      try {
        await endTool(enforcerPid(), program);
        const change = scene.bed.apply(scene.cluster(NARROW));
        // What is read only to check the kernel holds no change up; but a check may fail before it, and that is told.
        if (tool === "save") await change.catch((error: unknown) => assert.match(String(error), says));
        // The one that was killed may have been told before anybody has seen its end; then the next one is asked.
        else await assert.rejects(change, new RegExp(`${says.source}|it has ended`));
        await said(says);
        await sleep(WATCHED_MS);
      } finally {
        await toolbox.mend(program);
      }
      await end(`${program} ${how}`);
    });
  }

  it("a tool that is missing when the enforcer starts: what is in force stays so until it is back", async () => {
    const end = await begin("nft");
    const program = nameOf("restore", "nft");
    await toolbox.break(program, "missing");
    try {
      await assert.rejects(scene.bed.revive("left", options("nft")), /IptablesMissing/);
      await sleep(WATCHED_MS);
    } finally {
      await toolbox.mend(program);
    }
    await said(/^Enforcing: /);
    await scene.bed.apply(scene.cluster(NARROW));
    await end("started without its tool");
  });

  it("a tool that never answers is given up, and another one finishes what it was told", async () => {
    const end = await begin("nft");
    const program = nameOf("restore", "nft");
    await toolbox.break(program, "hanging");
    await endTool(enforcerPid(), program);
    // It is told to one that runs, and then to another, or to the other at once: one of them hangs, and nobody for ever.
    // One that is killed as it is told may have done it, and the attempt has failed.
    const change = scene.bed.apply(scene.cluster(NARROW)).catch((error: unknown) => {
      assert.match(String(error), /ApplyFailed: .*-restore.*(?: did not end within|: it has ended)/);
    });
    await waitFor("the tool hanging", async () => (await isHanging(enforcerPid())) || undefined, SOON);
    await toolbox.mend(program);
    await change;
    await end("iptables-restore that hangs");
  });

  it("an ipset that hangs: said, what is in force stays, and the change comes once it answers", async () => {
    await hangs("ipset", async () => {
      await endTool(enforcerPid(), "ipset");
      return { change: scene.bed.apply(scene.cluster(NARROW)) };
    });
  });

  it("a conntrack that hangs: said, what is in force stays, and the change comes once it answers", async () => {
    await hangs("conntrack", async () => ({
      // Whoever has just started knows of no value yet that no connection carries.
      change: scene.bed.revive("left", { ...options("nft"), stalledAfterMs: STALLED_MS })
        .then(() => scene.bed.apply(scene.cluster(NARROW))),
    }));
  });

  it("a conntrack that hangs over a pod that is gone holds up no change", async () => {
    const end = await begin("nft");
    const held = await toolbox.hold("conntrack");
    try {
      await scene.bed.apply(withPod(scene.cluster(WEBS), "c"));
      await held.begun();
      await scene.bed.apply(withPod(scene.cluster(NARROW), "c"));
      assert.ok(await held.stands(), "the change has waited for it");
      await end("conntrack that hangs beside");
    } finally {
      await held.release();
      await toolbox.mend("conntrack");
    }
  });

  it("the lock of the legacy tools held by somebody: the change waits for it", async () => {
    const end = await begin("legacy");
    const heldMs = 6_000;
    const seconds = String(heldMs / 1_000);
    const lock = scene.bed.network.lock("left");
    const holder = scene.onNode("flock", lock, "sleep", seconds).then(() => performance.now());
    await waitFor("the lock being held", async () => {
      return await scene.onNode("flock", "-n", lock, "true").then(() => undefined, () => true);
    }, SOON);
    await scene.bed.apply(scene.cluster(NARROW));
    const applied = performance.now();
    assert.ok(applied >= await holder, "nobody waited for the lock");
    await end(`the lock held for ${seconds} s`);
  });

  it("somebody who looks at all sets without a pause disturbs no change", async () => {
    const end = await begin("nft");
    const [program = "", ...args] = scene.bed.network.enter("left");
    const loop = spawn(program, [...args, "sh", "-c", "while :; do ipset save >/dev/null; done"], { stdio: "ignore" });
    try {
      for (let round = 0; round < 5; round += 1) {
        await scene.bed.apply(scene.cluster(NARROW));
        await scene.bed.apply(scene.cluster(WEBS));
      }
      await scene.bed.apply(scene.cluster(NARROW));
    } finally {
      loop.kill("SIGKILL");
    }
    await end("a loop of ipset save");
  });

  /**
   * @returns what waits until the narrow state is in force and judges all probes
   * @param unchanged until then nothing of the change was in force; absent = until the fault, at least
   */
  async function begin(
    backend: Backend, others: Pick<FirewallOptions, "stalledAfterMs"> = {},
  ): Promise<(fault: string, unchanged?: number) => Promise<void>> {
    await scene.bed.install({ ...options(backend), ...others });
    await scene.bed.apply(scene.cluster(WEBS));
    const vigil = await Vigil.start(scene, [...KEPT, ...DENIED, ...CHANGING]);
    const kept = await LongFlows.open(scene, LONG_KEPT);
    const cut = await LongFlows.open(scene, CHANGING);
    await cut.assertAlive(CHANGING);
    await sleep(WATCHED_MS);
    const harmed = vigil.mark("the fault");
    return async (fault, unchanged = harmed) => {
      const mended = vigil.mark("the fault is over");
      await kept.assertAlive(LONG_KEPT);
      await waitFor("the narrow state being in force", async () => {
        return (await scene.bed.enforcer("left").standing()).current ? true : undefined;
      }, SOON);
      const held = vigil.mark("in force");
      await sleep(WATCHED_MS);
      await cut.assertSilent(CHANGING, held);
      await kept.assertAlive(LONG_KEPT);
      const [report] = await Promise.all([vigil.stop(), kept.end(LONG_KEPT), cut.end()]);
      tell(fault, backend, report.summary, `in force ${Math.round(held - mended)} ms after it was over`);
      report.assertAll(KEPT, "open");
      report.assertAll(DENIED, "dropped");
      report.assertAll(CHANGING, "open", { to: unchanged - EDGE_MS });
      report.assertAll(CHANGING, "dropped", { from: held });
      assert.match(await ready(), /^Enforcing: /);
    };
  }

  /** @param needing begins a change that needs the tool, from now on or soon: it is said to wait, and comes once the tool goes on */
  async function hangs(tool: string, needing: () => Promise<{ readonly change: Promise<void> }>): Promise<void> {
    const end = await begin("nft", { stalledAfterMs: STALLED_MS });
    const held = await toolbox.hold(tool);
    let released = 0;
    try {
      const { change } = await needing();
      await held.begun();
      await said(/^ApplyStalled: /);
      released = monotonicMs();
      await held.release();
      await change;
    } finally {
      await held.release();
      await toolbox.mend(tool);
    }
    await end(`${tool} that hangs`, released);
  }

  function options(backend: Backend) {
    return { backend, path: toolbox.folder, settings: { driftCheckMs: 500 } } as const;
  }

  function nameOf(tool: Scarcity["tool"], backend: Backend): string {
    return tool === "ipset" ? tool : `iptables-${backend}-${tool}`;
  }

  function enforcerPid(): number {
    const { pid } = scene.bed.enforcer("left");
    assert.ok(pid !== undefined);
    return pid;
  }

  /** Waits until the node's SegmentNode would say it. */
  async function said(words: RegExp): Promise<void> {
    await waitFor(`the SegmentNode saying ${words}`, async () => words.test(await ready()) ? true : undefined, SOON);
  }

  /** Reason and message of the node's Ready condition. */
  async function ready(): Promise<string> {
    const { status } = await scene.bed.enforcer("left").standing();
    const condition = status?.conditions.find(({ type }) => type === "Ready");
    return `${condition?.reason}: ${condition?.message}`;
  }
});
