import assert from "node:assert/strict";
import { only } from "../cases/policies.ts";
import { PLAN } from "./bed/address-plan.ts";
import { clusterOf, openFlows, successor, withPod } from "./faults/flows-cluster.ts";
import { Scene, tell } from "./faults/scene.ts";

/** `b` may talk to the db pods of its namespace, of which `a` is one; nobody to those that are alone. */
const DBS = {
  policies: {
    "shop/dbs": { spec: { podSelector: { matchLabels: { tier: "db" } }, ingress: [{ from: [{ podSelector: only("b") }] }] } },
    "shop/alone": { spec: { podSelector: { matchLabels: { tier: "alone" } }, ingress: [] } },
  },
} as const;

describe("an address that another pod gets", function () {
  this.timeout(60_000);
  let scene: Scene;

  before(async () => {
    scene = await Scene.create();
  });
  afterEach(() => scene.quiet());
  after(() => scene.remove());

  for (const establishedFlows of ["Keep", "Cut"] as const) {
    for (const backend of ["nft", "legacy"] as const) {
      it(`after it was nobody's for a moment: what the old pod had open is over (${establishedFlows}, ${backend})`, async () => {
        const { bed } = scene;
        await bed.install({ backend, settings: { establishedFlows } });
        const full = clusterOf(DBS);
        await bed.apply(full);
        const flows = await openFlows(bed, "b", "a");
        const others = await openFlows(bed, "b", "d");
        assert.equal(flows.length, PLAN.families.length * 2);
        const began = performance.now();
        await bed.apply(withPod(full, "a"));
        await bed.apply(withPod(full, "a", (pod) => [successor(pod, "alone")]));
        const took = Math.round(performance.now() - began);
        assert.deepEqual(await bed.prober.echo(flows), flows.map(() => false), "the new pod is asked nothing");
        assert.deepEqual(await bed.prober.echo(others), others.map(() => true), "others' go on");
        await bed.prober.close([...flows, ...others]);
        tell(establishedFlows, backend, `${flows.length} connections over, ${took} ms after the old pod left`);
      });
    }
  }
});
