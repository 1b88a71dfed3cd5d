import assert from "node:assert/strict";
import { EnforcedNode } from "./enforced-node.ts";
import { pods } from "./enforcer-cases.ts";
import type { StateDraft } from "./enforcer-state.ts";
import { tell } from "./faults/scene.ts";

const DROPPED = "tierwall_dropped_packets_total";
const ALONE = { ingress: ["alone"] };

/** `db` is isolated, and the others that are named. */
function isolated(...others: readonly ("web" | "job")[]): StateDraft {
  const drafts = Object.fromEntries(["db", ...others].map((name) => [name, ALONE]));
  return { pods: pods(drafts), policies: { alone: {} } };
}

describe("counters of dropped packets", function () {
  this.timeout(60_000);
  let node: EnforcedNode;

  afterEach(() => node.remove());

  for (const backend of ["nft", "legacy"] as const) {
    it(`do not go back while pods come and go, which has the chain that counts written anew (${backend})`, async () => {
      node = await EnforcedNode.create();
      await node.startOperator({ backend });
      node.start();
      const dropped = async () => (await node.metrics()).get(DROPPED) ?? 0;
      const seen: number[] = [];
      let [generation, sent] = [0, 0];
      for (const state of [isolated("web", "job"), isolated("job"), isolated(), isolated("web"), isolated()]) {
        await node.enforce(state, (generation += 1));
        seen.push(await dropped());
        assert.equal(await node.probe(), "dropped");
        sent += 1;
        seen.push(await dropped());
      }
      const sorted = seen.toSorted((a, b) => a - b);
      assert.deepEqual(seen, sorted, "it went back");
      assert.ok((seen.at(-1) ?? 0) >= sent, `${seen.at(-1)} of ${sent} that were sent`);
      tell(backend, `${sent} packets dropped at least, counted ${seen.join(" ")}`);
    });
  }
});
