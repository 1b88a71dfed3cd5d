import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { ClusterDraft, PodHost } from "../../cases/case.ts";
import { egressOf, ingressOf, only } from "../../cases/policies.ts";
import { waitFor } from "../../lab/wait.ts";
import { ADDRESSES, FAMILIES } from "../bed/address-plan.ts";
import { LineWorker } from "../../lab/line-worker.ts";
import { clusterOf, underProbes } from "./flows-cluster.ts";
import type { TalkerOrder } from "./flows-talker.ts";
import { both, Scene, tcp, tell } from "./scene.ts";

const TALKER = fileURLToPath(new URL("flows-talker.ts", import.meta.url));
/** Of the other node's network; nobody has it, and that node looks for it for ever. */
const NOBODY = "10.101.2.99";
const SOON = { timeoutMs: 15_000, everyMs: 25 };
const TRANSFER = { bytes: 200_000, withinMs: 15_000 };

const KEPT = both("shop/b", "shop/d");
const NEVER = [tcp("other/c", "shop/d")];

describe("ICMP errors about connections", function () {
  this.timeout(120_000);
  let scene: Scene;
  let talker: LineWorker;

  before(async () => {
    scene = await Scene.create();
    talker = new LineWorker([...scene.bed.network.enter("b"), process.execPath, TALKER], {});
  });
  after(async () => {
    await talker.stop();
    await scene.remove();
  });

  for (const backend of ["nft", "legacy"] as const) {
    it(`an error about a connection that has been cut gets through, and revives nothing (${backend})`, async () => {
      const { bed } = scene;
      await bed.install({ backend });
      await bed.apply(clusterOf({ policies: { "shop/d": ONLY_B } }));
      // The error comes when the neighbour is given up: we say when.
      await onRight("sysctl", "-qw", "net.ipv4.neigh.to-d.mcast_solicit=1000");
      await onRight("ip", "route", "replace", `${NOBODY}/32`, "dev", "to-d");
      // A rule without a target counts.
      await onRight("iptables-nft", "-t", "mangle", "-F", "PREROUTING");
      await onRight("iptables-nft", "-t", "mangle", "-A", "PREROUTING", "-d", NOBODY);
      const report = await underProbes(scene, [...KEPT, ...NEVER], async (vigil) => {
        const before = await errorsHeard();
        await tellTalker({ do: "send", to: NOBODY, port: 9 });
        await verdict((mark) => mark !== 0 && mark !== DENIED_MARK);
        vigil.mark("cut");
        await bed.apply(clusterOf({ policies: { "shop/d": ONLY_B, "shop/b": ONLY_TO_D } }));
        await tellTalker({ do: "send", to: NOBODY, port: 9 });
        await verdict((mark) => mark === DENIED_MARK);
        vigil.mark("error");
        await onRight("ip", "neighbour", "change", NOBODY, "dev", "to-d", "nud", "failed");
        await waitFor("the error at the client", async () => (await errorsHeard()) > before || undefined, SOON);
        await verdict((mark) => mark === DENIED_MARK);
        assert.equal(await packetsTo(), 1, "the first one, and not the one that cut it");
        for (let count = 0; count < 3; count += 1) await tellTalker({ do: "send", to: NOBODY, port: 9 });
        await verdict((mark) => mark === DENIED_MARK);
        assert.equal(await packetsTo(), 1, "nothing of the connection goes out any more");
      });
      report.assertAll(KEPT, "open");
      report.assertAll(NEVER, "dropped");
      tell(report.summary, "the error came through, the connection stayed cut");
    });

    it(`path MTU discovery works on a connection after an unrelated change (${backend})`, async () => {
      const { bed } = scene;
      await bed.install({ backend });
      await bed.apply(clusterOf(bystanders("b")));
      for (const family of FAMILIES) await tellTalker({ do: "dial", to: ADDRESSES.d[family], port: 5432 });
      try {
        const report = await underProbes(scene, [...KEPT, ...NEVER], async (vigil) => {
          for (const other of ["d", "b"] as const) await bed.apply(clusterOf(bystanders(other)));
          vigil.mark("narrow roads");
          // On the way there one node says so, on the way back the other.
          await onRight("ip", "link", "set", "to-d", "mtu", "1300");
          await onLeft("ip", "link", "set", "to-b", "mtu", "1300");
          for (const family of FAMILIES) {
            assert.ok(await tellTalker({ do: "transfer", to: ADDRESSES.d[family], ...TRANSFER }), family);
          }
        });
        report.assertAll(KEPT, "open");
        report.assertAll(NEVER, "dropped");
        tell(report.summary, `${TRANSFER.bytes} bytes there and back in each family`);
      } finally {
        await onRight("ip", "link", "set", "to-d", "mtu", "1500");
        await onLeft("ip", "link", "set", "to-b", "mtu", "1500");
        // They remember what they were told.
        for (const [host, family] of [["b", "-4"], ["b", "-6"], ["d", "-4"], ["d", "-6"]] as const) {
          await bed.network.run(host, ["ip", family, "route", "flush", "cache"]);
        }
      }
    });
  }

  function tellTalker(order: TalkerOrder): Promise<unknown> {
    return talker.order(order);
  }

  function onLeft(...argv: readonly string[]): Promise<string> {
    return scene.bed.network.run("left", argv);
  }

  function onRight(...argv: readonly string[]): Promise<string> {
    return scene.bed.network.run("right", argv);
  }

  async function errorsHeard(): Promise<number> {
    const snmp = await scene.bed.network.run("b", ["cat", "/proc/net/snmp"]);
    const [names = [], values = []] = snmp.matchAll(/^Icmp: (.*)$/gm).map(([, line = ""]) => line.split(" ")).toArray();
    return Number(values[names.indexOf("InDestUnreachs")]);
  }

  /** Waits until the connection's mark on the client's node is as wanted. */
  async function verdict(wanted: (mark: number) => boolean): Promise<void> {
    await waitFor("the connection's mark", async () => {
      const listed = await onLeft("conntrack", "-L", "-d", NOBODY, "-p", "udp");
      const mark = Number(listed.match(/mark=(\d+)/)?.[1]);
      if (wanted(mark)) return true;
      throw new Error(`it is ${mark}`);
    }, SOON);
  }

  /** How many packets for nobody have come to the other node. */
  async function packetsTo(): Promise<number> {
    const shown = await onRight("iptables-nft-save", "-c", "-t", "mangle");
    return Number(shown.match(/^\[(\d+):\d+\] -A PREROUTING -d/m)?.[1]);
  }
});

const DENIED_MARK = 0xffff0000;
const ONLY_TO_D = egressOf("b", [{ to: [{ podSelector: only("d") }] }]);
const ONLY_B = ingressOf("d", [{ from: [{ podSelector: only("b") }] }]);

/** What concerns `b` and `d` is the same; on each node somebody else's policy takes its peer away and gives another. */
function bystanders(peer: PodHost): ClusterDraft {
  const from = [{ from: [{ podSelector: only(peer), namespaceSelector: {} }] }];
  return { policies: { "shop/d": ONLY_B, "other/c": ingressOf("c", from), "other/e": ingressOf("e", from) } };
}
