import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { ClusterDraft } from "../cases/case.ts";
import { rawCluster } from "../cases/raw-cluster.ts";
import { LineWorker } from "../lab/line-worker.ts";
import { ADDRESSES, FAMILIES, type HostName, PLAN } from "./bed/address-plan.ts";
import { Bed } from "./bed/bed.ts";
import type { Outcome, Probe } from "./bed/prober.ts";
import { DIMENSIONS, LACKS } from "./matrix-combinations.ts";
import type { OddOrder } from "./odd-host.ts";

const PROGRAM = fileURLToPath(new URL("odd-host.ts", import.meta.url));
const PORT = 6000;
/** Nobody is isolated. */
const OPEN: ClusterDraft = { policies: {} };

/** Case 24: in both families, wherever pods hang, whatever the kernel lacks. */
for (const wiring of DIMENSIONS.wiring) {
  describe(`failClosed, seen by packets: ${wiring}`, function () {
    this.timeout(30_000);
    let bed: Bed;

    before(async () => {
      bed = await Bed.create(wiring);
    });
    after(() => bed.remove());

    it("false: a pod that the node does not know yet is open", async () => {
      await bed.install({ backend: "nft", settings: { failClosed: false } });
      await assertUnknown("open");
    });

    for (const backend of DIMENSIONS.backend) {
      for (const layout of DIMENSIONS.layout) {
        it(`true: a pod that the node does not know yet is closed both ways (${backend}, ${layout})`, async () => {
          await bed.install({ backend, lacks: LACKS[layout], settings: { failClosed: true } });
          await assertUnknown("dropped");
        });
      }

      if (wiring === "bridge") {
        it(`what only a bridge carries from pod to pod is closed as well, with nobody isolated (${backend})`, async () => {
          const worker = (pod: HostName) => new LineWorker([...bed.network.enter(pod), process.execPath, PROGRAM], {});
          const [a, c] = [worker("a"), worker("c")];
          const tell = async (pod: LineWorker, order: OddOrder): Promise<unknown> => await pod.order(order);
          try {
            await tell(a, { do: "listen", port: PORT });
            const ways = [`${await linkLocalOf("a")}%eth0`, "10.101.1.255", "255.255.255.255"];
            for (const [failClosed, heard] of [[false, 1], [true, 0]] as const) {
              await bed.install({ backend, settings: { failClosed } });
              await bed.apply(rawCluster(OPEN, PLAN));
              for (const to of ways) {
                await tell(a, { do: "heard" });
                await tell(c, { do: "ask", to, port: PORT, bytes: 1 });
                assert.equal(await tell(a, { do: "heard" }), heard, `${to}, failClosed ${failClosed}`);
              }
              assert.deepEqual(await outcomes(both("c", "a")), ["open", "open"], "by its own address it can be reached");
            }
          } finally {
            await Promise.all([a.stop(), c.stop()]);
          }
        });
      }
    }

    /** @param closed what becomes of packets from and to `b` as long as its node knows nothing of it */
    async function assertUnknown(closed: Outcome): Promise<void> {
      const { pods, ...rest } = rawCluster(OPEN, PLAN);
      const known = pods.filter((pod) => !JSON.stringify(pod).includes('"pod-shop-b"'));
      await bed.apply({ ...rest, pods: known });
      const touching = [...both("b", "wan"), ...both("wan", "b"), ...both("a", "b")];
      assert.deepEqual(await outcomes(touching), touching.map(() => closed), "a pod that nobody knows of yet");
      const others = [...both("a", "wan"), ...both("d", "a"), ...both("left", "b")];
      assert.deepEqual(await outcomes(others), others.map(() => "open"), "known pods, and the node itself");
      await bed.apply({ ...rest, pods });
      assert.deepEqual(await outcomes(touching), touching.map(() => "open"), "once it is known");
    }

    async function outcomes(probes: readonly Probe[]): Promise<readonly Outcome[]> {
      const first = await bed.prober.probe(probes);
      // On a busy machine an answer may be late once.
      return first.includes("dropped") ? await bed.prober.probe(probes, 500) : first;
    }

    async function linkLocalOf(host: HostName): Promise<string> {
      const shown = await bed.network.run(host, ["ip", "-6", "address", "show", "dev", "eth0", "scope", "link"]);
      return shown.match(/inet6 (\S+)\//)?.[1] ?? "";
    }
  });
}

/** One probe for each family. */
function both(from: HostName, to: HostName): readonly Probe[] {
  return FAMILIES.map((family) => ({ from, to: ADDRESSES[to][family], protocol: "TCP", port: 80 }));
}
