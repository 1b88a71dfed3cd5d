import fc from "fast-check";
import { stringify } from "yaml";
import type { Extension } from "../../operator/enforcer/layout/options.ts";
import type { Bed } from "../packets/bed/bed.ts";
import { anyChange } from "./cluster-arbitrary.ts";
import { disagreementsOfChange } from "./differential.ts";

export interface FuzzOptions {
  /** What TIERWALL_SEED has to be for the same changes again. */
  readonly seed: number;
  /** Which of the seed's series of changes: each bed of a run has one of its own. */
  readonly series: number;
  /** Each is a change from one cluster to another. */
  readonly changes: number;
  /** Looks for a smaller example, which takes its time. */
  readonly shrink: boolean;
  /** What the enforcers of the bed do without. */
  readonly lacks: readonly Extension[];
}

/** Seed of this run: that of the environment, or a new one. */
export function seedOfRun(): number {
  const given = process.env["TIERWALL_SEED"];
  return given === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(given);
}

/**
 * Without the bias of fast-check towards small values: it is meant for more runs than a bounded test has.
 * @throws Error with the clusters and all that packets and evaluator disagree about
 */
export async function fuzz(bed: Bed, { seed, series, changes, shrink, lacks }: FuzzOptions): Promise<void> {
  const property = fc.asyncProperty(fc.noBias(anyChange), async (change) => {
    const words = await disagreementsOfChange(bed, change, lacks);
    if (words.length > 0) throw new Disagreement(words, change);
  });
  const { failed, errorInstance, counterexamplePath } = await fc.check(property, {
    seed: seed + series, numRuns: changes, endOnFailure: !shrink,
  });
  if (!failed) return;
  const words = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  throw new Error(`TIERWALL_SEED=${seed}, path ${counterexamplePath}: ${words}`, { cause: errorInstance });
}

class Disagreement extends Error {
  constructor(words: readonly string[], clusters: object) {
    const shown = words.slice(0, 20).join("\n");
    super(`${words.length} disagreements\n${shown}\n${stringify(clusters, { aliasDuplicateObjects: false })}`);
  }
}
