import assert from "node:assert/strict";
import type { NodeState } from "../../operator/api/node-state.ts";
import { only } from "../cases/policies.ts";
import { rawCluster } from "../cases/raw-cluster.ts";
import { ADDRESSES, FAMILIES, PLAN } from "./bed/address-plan.ts";
import { Bed } from "./bed/bed.ts";
import { ClusterFeed } from "./bed/cluster-feed.ts";
import type { Outcome } from "./bed/prober.ts";
import { DIMENSIONS, LACKS } from "./matrix-combinations.ts";

/** Nobody may talk to `a`. */
const WALLED = rawCluster({ policies: { "shop/a": { spec: { podSelector: only("a"), policyTypes: ["Ingress"] } } } }, PLAN);

/** Case 25: in both families, wherever pods hang, whatever the kernel lacks. */
for (const wiring of DIMENSIONS.wiring) {
  describe(`a policy that is only tried out, seen by packets of both families: ${wiring}`, function () {
    this.timeout(30_000);
    let bed: Bed;

    before(async () => {
      bed = await Bed.create(wiring);
    });
    after(() => bed.remove());

    for (const backend of DIMENSIONS.backend) {
      for (const layout of DIMENSIONS.layout) {
        it(`drops nothing and counts what it would drop; once enforced it drops (${backend}, ${layout})`, async () => {
          await bed.install({ backend, lacks: LACKS[layout] });
          const feed = new ClusterFeed("All");
          feed.update(WALLED);
          const walled = feed.state("left");
          const counted = async () => await Promise.all(FAMILIES.map(async (family) => {
            const tool = `${family === "ipv4" ? "iptables" : "ip6tables"}-${backend}-save`;
            const saved = await bed.network.run("left", [tool, "-c", "-t", "filter"]);
            const lines = [...saved.matchAll(/^\[(\d+):\d+\] -A TW-AR\S* -j RETURN$/gm)];
            assert.equal(lines.length, 1, saved);
            return Number(lines[0]?.[1]);
          }));
          await bed.enforcer("left").greet({ logDrops: "None" }, triedOut(walled));
          assert.deepEqual(await counted(), [0, 0]);
          assert.deepEqual(await outcomes(), ["open", "open"]);
          assert.deepEqual(await counted(), [1, 1]);
          await bed.enforcer("left").greet({ logDrops: "None" }, walled);
          assert.deepEqual(await outcomes(), ["dropped", "dropped"]);
        });
      }
    }

    /** Of `b`, one connection to `a` in each family. */
    async function outcomes(): Promise<readonly Outcome[]> {
      return await bed.prober.probe(FAMILIES.map((family) => (
        { from: "b", to: ADDRESSES.a[family], protocol: "TCP", port: 80 }
      )), 500);
    }
  });
}

/** The same policies, none of them in force. */
function triedOut({ pods, ...rest }: NodeState): NodeState {
  return {
    ...rest,
    pods: new Map([...pods].map(([uid, { ingress, ...pod }]) => {
      if (ingress.length === 0) return [uid, { ...pod, ingress }];
      return [uid, { ...pod, ingress: [], audits: [{ policy: "plan", tier: "db", ingress, egress: [] }] }];
    })),
  };
}
