/**
 * A bounded number of random clusters. Of what failed TIERWALL_SEED is printed, and repeats it; TIERWALL_SHRINK=1 looks
 * for a smaller cluster with the same fault.
 */
import assert from "node:assert/strict";
import type { Extension } from "../../operator/enforcer/layout/options.ts";
import type { Backend } from "../../operator/enforcer/netfilter/netfilter.ts";
import { disagreementsOfChange } from "../fuzz/differential.ts";
import { PITFALLS } from "../fuzz/pitfalls.ts";
import { fuzz, seedOfRun } from "../fuzz/property.ts";
import { Bed } from "./bed/bed.ts";
import type { Wiring } from "./bed/network.ts";

interface Column {
  readonly wiring: Wiring;
  readonly backend: Backend;
  /** Random ones, beside the pitfalls; two clusters each. */
  readonly changes: number;
  readonly lacks: readonly Extension[];
}

/** Nothing of a layout is left to one combination alone; every way to do without something is there. */
const COLUMNS: readonly Column[] = [
  { wiring: "ptp", backend: "nft", changes: 6, lacks: [] },
  { wiring: "bridge", backend: "legacy", changes: 6, lacks: [] },
  { wiring: "ptp", backend: "legacy", changes: 4, lacks: [] },
  { wiring: "bridge", backend: "nft", changes: 4, lacks: [] },
  { wiring: "ptp", backend: "nft", changes: 2, lacks: ["connmark"] },
  { wiring: "bridge", backend: "legacy", changes: 2, lacks: ["connmark", "comment"] },
  { wiring: "bridge", backend: "nft", changes: 2, lacks: ["set", "physdev", "pkttype"] },
  { wiring: "ptp", backend: "legacy", changes: 2, lacks: ["set", "connmark", "sctp"] },
];

describe("packets see what the evaluator says, whatever the cluster", () => {
  const seed = seedOfRun();

  for (const [index, { wiring, backend, changes, lacks }] of COLUMNS.entries()) {
    describe(`${wiring}, ${backend}${lacks.map((each) => `, no ${each}`).join("")}`, function () {
      this.timeout(180_000);
      let bed: Bed;

      before(async () => {
        bed = await Bed.create(wiring);
        await bed.install({ backend, lacks });
      });

      after(async () => await bed.remove());

      for (const { name, before: from, after: to } of PITFALLS) {
        it(name, async () => {
          const words = await disagreementsOfChange(bed, { before: from, after: to }, lacks);
          assert.equal(words.length, 0, `${words.length} disagreements\n${words.slice(0, 20).join("\n")}`);
        });
      }

      it(`${changes} random changes, TIERWALL_SEED=${seed}`, async () => {
        const shrink = process.env["TIERWALL_SHRINK"] !== undefined;
        await fuzz(bed, { seed, series: index, changes, shrink, lacks });
      });
    });
  }
});
