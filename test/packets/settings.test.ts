import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { EnforcerSettings } from "../../operator/api/enforcer-settings.ts";
import type { Backend } from "../../operator/enforcer/netfilter/netfilter.ts";
import { waitFor } from "../lab/wait.ts";
import type { ClusterDraft } from "../cases/case.ts";
import { only } from "../cases/policies.ts";
import { rawCluster } from "../cases/raw-cluster.ts";
import { ADDRESSES, FAMILIES, type HostName, PLAN } from "./bed/address-plan.ts";
import { Bed } from "./bed/bed.ts";
import type { Outcome, Probe } from "./bed/prober.ts";

const run = promisify(execFile);
const OPEN: ClusterDraft = { policies: {} };
const DENIED: ClusterDraft = {
  policies: { "shop/deny": { spec: { podSelector: only("a"), policyTypes: ["Ingress"] } } },
};
const WEBS_ALLOWED: ClusterDraft = {
  policies: {
    "shop/webs": {
      spec: { podSelector: only("a"), ingress: [{ from: [{ podSelector: { matchLabels: { tier: "web" } } }] }] },
    },
  },
};

describe("what users set, seen by packets", function () {
  this.timeout(30_000);
  let bed: Bed;

  before(async () => {
    bed = await Bed.create("ptp");
  });

  after(async () => await bed.remove());

  for (const backend of ["nft", "legacy"] as const) {
    describe(backend, () => {
      const install = (settings: Partial<EnforcerSettings>) => bed.install({ backend, settings });

      for (const [establishedFlows, lives] of [["Cut", false], ["Keep", true]] as const) {
        it(`establishedFlows: ${establishedFlows}`, async () => {
          await install({ establishedFlows });
          await bed.apply(rawCluster(OPEN, PLAN));
          const flows = await bed.prober.open(both("b", "a", "TCP").concat(both("d", "a", "UDP", 53)));
          const opened = flows.filter((flow) => flow !== undefined);
          assert.equal(opened.length, 4);
          await bed.apply(rawCluster(DENIED, PLAN));
          assert.deepEqual(await bed.prober.echo(opened), opened.map(() => lives));
          await bed.prober.close(opened);
          assert.deepEqual(await outcomes(both("b", "a", "TCP")), ["dropped", "dropped"], "new ones never pass");
        });
      }

      it("establishedFlows: Keep cuts all the same what another pod had at the address", async () => {
        await install({ establishedFlows: "Keep" });
        await bed.apply(rawCluster(OPEN, PLAN));
        const [flow] = await bed.prober.open(both("b", "a", "TCP"));
        assert.ok(flow !== undefined);
        const { pods, ...rest } = rawCluster(DENIED, PLAN);
        const renamed = pods.map((pod) => JSON.parse(JSON.stringify(pod).replace("pod-shop-a", "pod-shop-a2")) as object);
        await bed.apply({ ...rest, pods: renamed });
        assert.deepEqual(await bed.prober.echo([flow]), [false]);
        await bed.prober.close([flow]);
      });

      it("connmark.mask", async () => {
        await install({ connmarkMask: 0xff00 });
        await bed.apply(rawCluster(DENIED, PLAN));
        const masks = new Set((await saved(backend)).matchAll(/connmark --mark 0x[0-9a-f]+\/(0x[0-9a-f]+)/g).map(([, mask]) => mask));
        assert.deepEqual([...masks], ["0xff00"]);
        assert.deepEqual(await outcomes(both("b", "a", "TCP")), ["dropped", "dropped"]);
      });

      it("connmark.mask that somebody else uses: no mark of ours, and connections are cut all the same", async () => {
        await bed.install({ backend });
        const tool = `iptables-${backend}`;
        const foreign = ["-t", "mangle", "-A", "PREROUTING", "-j", "CONNMARK", "--set-xmark", "0x100/0x100"];
        await inLeft(tool, ...foreign);
        try {
          await bed.restart({ backend, settings: { connmarkMask: 0xff00 } });
          await bed.apply(rawCluster(OPEN, PLAN));
          const flows = (await bed.prober.open(both("b", "a", "TCP"))).filter((flow) => flow !== undefined);
          await bed.apply(rawCluster(DENIED, PLAN));
          assert.doesNotMatch(await saved(backend), /TW-.*mark/i);
          assert.deepEqual(await bed.prober.echo(flows), [false, false]);
          await bed.prober.close(flows);
        } finally {
          await inLeft(tool, ...foreign.map((word) => (word === "-A" ? "-D" : word)));
        }
      });
    });
  }

  it("backend: the one that is set, with the other one cleared once it enforces", async () => {
    await bed.install({ backend: "legacy" });
    await bed.apply(rawCluster(WEBS_ALLOWED, PLAN));
    assert.match(await saved("legacy"), /--match-set TW-u/);
    await bed.restart({ backend: "nft" });
    // Another state than the one that the other backend holds: sets of its rules are of no use any more.
    await bed.apply(rawCluster(OPEN, PLAN));
    await bed.apply(rawCluster(DENIED, PLAN));
    assert.match(await saved("nft"), /TW-FWD/);
    // The other one goes once this one enforces, a moment after that is confirmed.
    await waitFor("the other backend being cleared", async () => {
      const left = (await saved("legacy")) + (await inLeft("ipset", "list", "-n"));
      return left.includes("TW-") ? undefined : true;
    }, { timeoutMs: 5_000, everyMs: 50 });
    assert.deepEqual(await outcomes(both("b", "a", "TCP")), ["dropped", "dropped"]);
  });

  it("backend: Auto takes the one whose mangle table shows the kubelet", async () => {
    for (const backend of ["legacy", "nft"] as const) {
      await bed.install({ backend: "nft", settings: { backend: "Auto" } });
      await inLeft(`iptables-${backend}`, "-t", "mangle", "-N", "KUBE-IPTABLES-HINT");
      await bed.apply(rawCluster(DENIED, PLAN));
      const other = backend === "nft" ? "legacy" : "nft";
      assert.match(await saved(backend), /TW-FWD/);
      await waitFor("the other backend being cleared", async () => {
        return (await saved(other)).includes("TW-") ? undefined : true;
      }, { timeoutMs: 5_000, everyMs: 50 });
      await inLeft(`iptables-${backend}`, "-t", "mangle", "-X", "KUBE-IPTABLES-HINT");
    }
  });

  async function outcomes(probes: readonly Probe[]): Promise<readonly Outcome[]> {
    const first = await bed.prober.probe(probes);
    // On a busy machine an answer may be late once.
    return first.includes("dropped") ? await bed.prober.probe(probes, 500) : first;
  }

  async function inLeft(program: string, ...args: readonly string[]): Promise<string> {
    const [enter = "", ...rest] = bed.network.enter("left");
    const { stdout } = await run(enter, [...rest, program, ...args]);
    return stdout;
  }

  async function saved(backend: Backend): Promise<string> {
    return (await Promise.all(["iptables", "ip6tables"].map((tables) => inLeft(`${tables}-${backend}-save`)))).join("");
  }
});

/** One probe for each family. */
function both(from: HostName, to: HostName, protocol: "TCP" | "UDP", port = 80): readonly Probe[] {
  return FAMILIES.map((family) => ({ from, to: ADDRESSES[to][family], protocol, port }));
}
