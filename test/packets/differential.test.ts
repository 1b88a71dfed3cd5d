import { fuzz, seedOfRun } from "../fuzz/property.ts";
import type { Backend } from "../../operator/enforcer/netfilter/netfilter.ts";
import { Bed } from "./bed/bed.ts";
import type { Wiring } from "./bed/network.ts";

/** Two clusters a change. Nothing of a layout is left to one combination alone. */
const COMBINATIONS: readonly (readonly [Wiring, Backend, number])[] = [
  ["ptp", "nft", 10], ["bridge", "legacy", 10], ["ptp", "legacy", 8], ["bridge", "nft", 8],
];

describe("packets see what the evaluator says, whatever the cluster", function () {
  this.timeout(180_000);
  const seed = seedOfRun();

  for (const [index, [wiring, backend, changes]] of COMBINATIONS.entries()) {
    it(`${wiring}, ${backend}: ${changes} changes, TIERWALL_SEED=${seed}`, async () => {
      const bed = await Bed.create(wiring);
      try {
        await bed.install({ backend });
        // Each has changes of its own.
        await fuzz(bed, { seed: seed + index, changes, shrink: process.env["TIERWALL_SHRINK"] !== undefined });
      } finally {
        await bed.remove();
      }
    });
  }
});
