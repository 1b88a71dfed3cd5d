import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterDraft, PodHost } from "../../cases/case.ts";
import { ingressOf, only } from "../../cases/policies.ts";
import { patienceMs } from "../bed/node-link.ts";
import { clusterOf, onlyFor, openFlows, underProbes, WEBS } from "./flows-cluster.ts";
import { both, Scene, tcp, tell } from "./scene.ts";

/** As narrow as it may be: generations come round after 254. */
const NARROW_MASK = 0xff00;
const GENERATIONS = 254;
/** More than one round. */
const BUMPS = GENERATIONS + 10;
/** Probes leave entries behind: values must not come round while those of the last round are still held. */
const HELD_S = 3;
/** From one bump to the next at least, so that a round takes twice as long. */
const BUMP_MS = 2_000 * HELD_S / GENERATIONS;
const FOREIGN = { value: 0x5, mask: 0xf };

const [KEPT, CUT, NEVER] = [both("shop/d", "shop/a"), both("shop/b", "shop/a"), [tcp("other/e", "shop/a")]];

describe("the connection mark", function () {
  this.timeout(180_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.create();
  });
  after(() => scene.remove());

  it("generations come round while a connection sleeps: it does not wake up allowed", async () => {
    const { bed } = scene;
    for (const timeout of ["udp_timeout", "udp_timeout_stream"]) {
      await onLeft("sysctl", "-qw", `net.netfilter.nf_conntrack_${timeout}=${HELD_S}`);
    }
    await bed.install({ backend: "nft", settings: { connmarkMask: NARROW_MASK } });
    await bed.apply(clusterOf({ policies: { "shop/p": WEBS } }));
    const [sleeping, staying] = [await openFlows(bed, "b", "a"), await openFlows(bed, "d", "a")];
    const held = await generation();
    const slept = await connectionMarks("-p", "tcp", "--dport", "5432");
    assert.deepEqual(slept.map((mark) => mark >>> 8), [held, held], "they carry the generation that judged them");
    let cut = 0;
    const seen = new Set<number>();
    let rounds = 0;
    const report = await underProbes(scene, [...KEPT, ...CUT, ...NEVER], async (vigil) => {
      await bed.apply(clusterOf(unrelated("b")));
      cut = vigil.mark("cut");
      let last = 0;
      for (let bump = 1; bump <= BUMPS; bump += 1) {
        const paced = sleep(BUMP_MS);
        await bed.apply(clusterOf(unrelated(bump % 2 === 0 ? "b" : "d")));
        await paced;
        const now = await generation();
        if (now < last) rounds += 1;
        seen.add((last = now));
      }
      const marks = await connectionMarks("-p", "tcp", "--dport", "5432");
      assert.deepEqual(marks, slept, "nobody has touched them meanwhile");
      // UDP's entries do not live so long.
      const tcps = (flows: typeof sleeping) => flows.filter((_, index) => index % 2 === 0);
      assert.deepEqual(await bed.prober.echo(tcps(sleeping)), [false, false]);
      assert.deepEqual(await bed.prober.push(tcps(sleeping)), [false, false]);
      assert.deepEqual(await bed.prober.echo(tcps(staying), patienceMs), [true, true]);
    });
    await bed.prober.close([...sleeping, ...staying]);
    assert.equal(rounds, 1, "they came round once");
    assert.ok(!seen.has(held), `the sleepers' own generation, ${held}, has come again`);
    assert.equal(seen.size, GENERATIONS - 1, "every other value has been used");
    report.assertAll(KEPT, "open");
    report.assertAll(CUT, "dropped", { from: cut });
    report.assertAll(NEVER, "dropped");
    tell(report.summary, `${BUMPS} generations, ${seen.size} values of them, once round`);
  });

  for (const backend of ["nft", "legacy"] as const) {
    it(`bits that others set stay as they are on connections that are judged and cut (${backend})`, async () => {
      const { bed } = scene;
      const set = `0x${FOREIGN.value.toString(16)}/0x${FOREIGN.mask.toString(16)}`;
      const rule = ["PREROUTING", "-m", "conntrack", "--ctstate", "NEW", "-j", "CONNMARK", "--set-xmark", set];
      await bed.install({ backend });
      await onLeft(`iptables-${backend}`, "-t", "mangle", "-A", ...rule);
      try {
        await bed.restart({ backend });
        await bed.apply(clusterOf({ policies: { "shop/p": WEBS } }));
        const [cutOnes, staying] = [await openFlows(bed, "b", "a"), await openFlows(bed, "d", "a")];
        const report = await underProbes(scene, [...KEPT, ...NEVER], async (vigil) => {
          await sleep(300);
          vigil.mark("narrowed");
          await bed.apply(clusterOf({ policies: { "shop/p": onlyFor("d") } }));
          assert.deepEqual(await bed.prober.echo(cutOnes), cutOnes.map(() => false));
          assert.deepEqual(await bed.prober.echo(staying, patienceMs), staying.map(() => true));
        });
        const marks = await connectionMarks();
        await bed.prober.close([...cutOnes, ...staying]);
        const clobbered = marks.filter((mark) => (mark & FOREIGN.mask) !== FOREIGN.value);
        assert.deepEqual(clobbered, [], `of ${marks.length}`);
        const ours = new Set(marks.map((mark) => mark >>> 16));
        assert.ok(ours.has(0xffff) && ours.size >= 3, `verdicts of ours: ${[...ours].join()}`);
        report.assertAll(KEPT, "open");
        report.assertAll(NEVER, "dropped");
        tell(report.summary, `${marks.length} connections, each with the others' bits as they had set them`);
      } finally {
        await onLeft(`iptables-${backend}`, "-t", "mangle", "-D", ...rule);
      }
    });
  }

  function onLeft(...argv: readonly string[]): Promise<string> {
    return scene.bed.network.run("left", argv);
  }

  /** Of all connections of the server, IPv4. */
  async function connectionMarks(...which: readonly string[]): Promise<readonly number[]> {
    const listed = await onLeft("conntrack", "-L", "-d", "10.101.1.2", ...which);
    return listed.matchAll(/ mark=(\d+)/g).map(([, mark]) => Number(mark)).toArray();
  }

  async function generation(): Promise<number> {
    const saved = await onLeft("iptables-nft-save", "-t", "filter");
    const marks = saved.matchAll(/--set-xmark (0x[0-9a-f]+)\//g).map(([, mark]) => Number(mark)).toArray();
    // The other one is that of connections that are cut.
    return Math.min(...marks) >>> 8;
  }
});

/** `a` serves `d` alone; each change of the others' peer makes connections be judged anew. */
function unrelated(peer: PodHost): ClusterDraft {
  const c = ingressOf("c", [{ from: [{ podSelector: only(peer), namespaceSelector: {} }] }]);
  return { policies: { "shop/p": onlyFor("d"), "other/c": c } };
}
