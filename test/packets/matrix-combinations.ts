import { type Extension, EXTENSIONS } from "../../operator/enforcer/layout/options.ts";
import type { Backend } from "../../operator/enforcer/netfilter/netfilter.ts";
import type { Family } from "../cases/case.ts";
import type { Wiring } from "./bed/network.ts";

/** What a column of the matrix is made of. */
export interface Combination {
  readonly backend: Backend;
  readonly family: "ipv4" | "ipv6" | "dual";
  readonly wiring: Wiring;
  /** What the kernel is said to lack. */
  readonly layout: Layout;
}

/** Those that do without one extension alone are in the full table only. */
export type Layout = "whole" | "no marks" | "no sets" | `without ${Extension}`;

/** What a layout does without: the kernel refuses it. */
export const LACKS: Readonly<Record<Layout, readonly Extension[]>> = {
  "whole": [],
  "no marks": ["connmark", "bpf"],
  "no sets": ["set", "comment", "physdev", "pkttype"],
  "without connmark": ["connmark"],
  "without comment": ["comment"],
  "without set": ["set"],
  "without bpf": ["bpf"],
  "without physdev": ["physdev"],
  "without pkttype": ["pkttype"],
  "without sctp": ["sctp"],
  "without log": ["log"],
};

type Dimensions = { readonly [Key in keyof Combination]: readonly Combination[Key][] };

export const DIMENSIONS: Dimensions = {
  backend: ["nft", "legacy"],
  family: ["ipv4", "ipv6", "dual"],
  wiring: ["ptp", "bridge"],
  layout: ["whole", "no marks", "no sets"],
};

export function title({ backend, family, wiring, layout }: Combination): string {
  return [backend, family, wiring, ...(layout === "whole" ? [] : [layout])].join(" ");
}

export function familiesOf({ family }: Combination): readonly Family[] {
  return family === "dual" ? ["ipv4", "ipv6"] : [family];
}

export function everyCombination(): readonly Combination[] {
  return product(DIMENSIONS);
}

/** Every combination, and each extension left out alone; pods of both families at once show what each of them alone does. */
export function fullTable(): readonly Combination[] {
  const layout = EXTENSIONS.map((extension): Layout => `without ${extension}`);
  return [...everyCombination(), ...product({ ...DIMENSIONS, family: ["dual"], layout })];
}

function product({ backend, family, wiring, layout }: Dimensions): readonly Combination[] {
  return layout.flatMap((l) => wiring.flatMap((w) => family.flatMap((f) => backend.map((b) => (
    { backend: b, family: f, wiring: w, layout: l }
  )))));
}

/**
 * Few combinations that hold every two values of different dimensions together: most faults need no third. Always
 * takes the one that adds most pairs.
 */
export function pairwise(): readonly Combination[] {
  const all = everyCombination();
  const missing = new Set(all.flatMap(pairsOf));
  const taken: Combination[] = [];
  while (missing.size > 0) {
    const gain = (combination: Combination): number => pairsOf(combination).filter((pair) => missing.has(pair)).length;
    const best = all.reduce((most, each) => (gain(each) > gain(most) ? each : most));
    taken.push(best);
    for (const pair of pairsOf(best)) missing.delete(pair);
  }
  return taken;
}

/** Every two values that meet in the combination. */
export function pairsOf(combination: Combination): readonly string[] {
  const values = Object.entries(combination).map(([key, value]) => `${key}=${value}`);
  return values.flatMap((one, index) => values.slice(index + 1).map((other) => `${one} ${other}`));
}
