import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { waitFor } from "../../lab/wait.ts";
import { ADDRESSES } from "../bed/address-plan.ts";
import { Vigil } from "../vigil.ts";
import { LongFlows } from "./long-flows.ts";
import { Scene, tell } from "./scene.ts";
import { DENIED, KEPT, LONG_KEPT, WEBS } from "./webs.ts";

const WATCHED_MS = 300;
const SOON = { timeoutMs: 20_000, everyMs: 50 };

const { a, b, d } = ADDRESSES;
/** The same policy as an enforcer of another version might have written it: other names, another field of the mark. */
const OLD_SETS = `create TW-peers-1 hash:ip family inet
add TW-peers-1 ${b.ipv4}
add TW-peers-1 ${d.ipv4}
create TW-unused-7 hash:net family inet
`;
const OLD_RULES = `*filter
:FORWARD ACCEPT [0:0]
:TW-FWD - [0:0]
:TW-POD-a - [0:0]
:TW-UNUSED - [0:0]
-A FORWARD -j TW-FWD
-A TW-FWD -m connmark --mark 0x1200/0xff00 -j RETURN
-A TW-FWD -m conntrack --ctstate ESTABLISHED,RELATED --ctdir REPLY -j RETURN
-A TW-FWD -d ${a.ipv4}/32 -j TW-POD-a
-A TW-FWD -d ${a.ipv4}/32 -j CONNMARK --set-xmark 0x1200/0xff00
-A TW-POD-a -m set --match-set TW-peers-1 src -j RETURN
-A TW-POD-a -j DROP
-A TW-UNUSED -j DROP
COMMIT
`;

describe("what others and earlier ones left, at the start of an enforcer", function () {
  this.timeout(60_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.create();
  });
  afterEach(() => scene.quiet());
  after(() => scene.remove());

  for (const backend of ["nft", "legacy"] as const) {
    it(`chains and sets of another version: replaced without a wrong packet, then gone (${backend})`, async () => {
      const options = { backend, settings: { driftCheckMs: 500 } } as const;
      await scene.bed.install(options);
      await scene.bed.apply(scene.cluster(WEBS));
      await waitFor("our names alone", async () => (await isSwept(backend)) ? true : undefined, SOON);
      const fresh = await names(backend);
      await scene.bed.enforcer("left").stop();
      await scene.bed.network.wipe("left");
      // Allowed by nobody ever since, but marked by the old rules.
      const marked = await LongFlows.open(scene, DENIED);
      await feed("ipset", OLD_SETS, "restore");
      await feed(`iptables-${backend}-restore`, OLD_RULES.replace("-A TW-POD-a -j DROP\n", ""));
      await marked.assertAlive(DENIED);
      await scene.onNode(`iptables-${backend}`, "-A", "TW-POD-a", "-j", "DROP");
      await marked.assertAlive(DENIED);
      const watch = await begin();
      await scene.bed.revive("left", options);
      const held = watch.mark("in force");
      await waitFor("the old names being gone", async () => {
        return (await names(backend)) === fresh ? true : undefined;
      }, SOON);
      await sleep(WATCHED_MS);
      await marked.assertSilent(DENIED, held);
      await marked.end();
      await watch.end(`another version's rules, ${backend}`);
    });
  }

  it("the backend flips to legacy and back: no wrong packet, and one of them is left empty each time", async () => {
    await scene.bed.install({ backend: "nft" });
    await scene.bed.apply(scene.cluster(WEBS));
    const watch = await begin();
    for (const [backend, other] of [["legacy", "nft"], ["nft", "legacy"]] as const) {
      watch.mark(`to ${backend}`);
      await scene.bed.revive("left", { backend });
      await waitFor(`${other} being cleared`, async () => {
        return (await scene.tables(other)).some((line) => line.includes("TW-")) ? undefined : true;
      }, SOON);
      assert.match((await scene.tables(backend)).join("\n"), /-j TW-FWD$/m);
      await sleep(WATCHED_MS);
    }
    await watch.end("the backend flips twice");
  });

  async function begin() {
    const vigil = await Vigil.start(scene, [...KEPT, ...DENIED]);
    const kept = await LongFlows.open(scene, LONG_KEPT);
    await sleep(WATCHED_MS);
    const started = performance.now();
    return {
      mark: (label: string) => vigil.mark(label),
      end: async (fault: string) => {
        await kept.assertAlive(LONG_KEPT);
        const took = Math.round(performance.now() - started);
        const [report] = await Promise.all([vigil.stop(), kept.end(LONG_KEPT)]);
        tell(fault, report.summary, `over after ${took} ms`);
        report.assertAll(KEPT, "open");
        report.assertAll(DENIED, "dropped");
      },
    };
  }

  async function feed(program: string, input: string, ...args: readonly string[]): Promise<void> {
    await scene.bed.network.run("left", [program, ...args], input);
  }

  /** Of chains and sets, and the text of all that names no generation and no state. */
  async function names(backend: Backend): Promise<string> {
    const rules = (await scene.tables(backend)).filter((line) => line.includes("TW-"));
    const sets = (await scene.onNode("ipset", "save")).split("\n").toSorted();
    const text = [...rules, ...sets].join("\n");
    return text.replaceAll(/0x[0-9a-f]+/g, "0x");
  }

  async function isSwept(backend: Backend): Promise<boolean> {
    const before = await names(backend);
    await sleep(WATCHED_MS);
    return before === await names(backend) && !before.includes("unnamed");
  }
});
