/**
 * As many random clusters as wanted, for ever if no number is given: `node test/fuzz/run.ts [changes]`. Each round of
 * 25 changes has a seed of its own, which is printed first. The seed says all: with it as TIERWALL_SEED that round comes
 * first, on the same combination, and the rounds after it follow.
 */
import type { Extension } from "../../operator/enforcer/layout/options.ts";
import { Bed } from "../packets/bed/bed.ts";
import { fuzz, seedOfRun } from "./property.ts";

const CHANGES_A_ROUND = 25;
const COMBINATIONS = [["ptp", "nft"], ["bridge", "legacy"], ["ptp", "legacy"], ["bridge", "nft"]] as const;
/** What the kernel is said to lack, in turn. */
const LACKS: readonly (readonly Extension[])[] = [
  [], [], ["connmark"], [], ["set", "bpf", "physdev", "pkttype"], [], ["set", "connmark", "sctp"],
];

const wanted = Number(process.argv[2] ?? Infinity);
if (Number.isNaN(wanted)) throw new Error("usage: node test/fuzz/run.ts [changes]");
for (let done = 0, seed = seedOfRun(); done < wanted; done += CHANGES_A_ROUND, seed += 1) {
  const [wiring, backend] = COMBINATIONS[seed % COMBINATIONS.length] ?? COMBINATIONS[0];
  const lacks = LACKS[seed % LACKS.length] ?? [];
  const without = lacks.length === 0 ? "" : ` without ${lacks.join(" and ")}`;
  process.stdout.write(`${wiring}, ${backend}${without}, TIERWALL_SEED=${seed}\n`);
  const bed = await Bed.create(wiring);
  try {
    await bed.install({ backend, lacks });
    await fuzz(bed, { seed, series: 0, changes: Math.min(CHANGES_A_ROUND, wanted - done), shrink: true, lacks });
  } finally {
    await bed.remove();
  }
}
