import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { Size } from "./cluster.ts";
import { absolute, difference, median, unrest } from "./figures.ts";
import type { Figure, Kind, Times } from "./figures.ts";
import type { Price } from "./rule-prices.ts";
import type { Variant } from "./rulesets.ts";

/** Most that a packet may cost over the baseline, in ns. */
const TARGETS: Readonly<Record<Backend, Readonly<Record<Kind, number>>>> = {
  legacy: { established: 40, newIn: 350, newBoth: 350 },
  nft: { established: 45, newIn: 750, newBoth: 750 },
};
const KINDS: readonly Kind[] = ["established", "newIn", "newBoth"];
const TITLES: Readonly<Record<Kind, string>> = { established: "established", newIn: "new, one", newBoth: "new, both" };
const WIDTH = 20;
/** A baseline that is less even than this was measured beside other work: its figures are shown and not judged. */
const MOST_UNREST = 0.1;

/** The table, printed line by line, and how it compares with the targets. */
export class Report {
  readonly #print: (line: string) => void;
  /** Medians of Tierwall by backend and kind of packet, and what the baseline takes. */
  readonly #medians = new Map<string, number[]>();
  readonly #backends = new Map<Backend, { readonly path: number[]; readonly rule: number[] }>();

  constructor(print: (line: string) => void) {
    this.#print = print;
    print("ns a packet over connection tracking with one rule: median (least..most of the rounds)");
    print("! = over the target, ? = the machine was busy with something else: not judged");
    print(`backend  ruleset   pods policies  each${KINDS.map((kind) => TITLES[kind].padStart(WIDTH)).join("")}`);
  }

  add(backend: Backend, size: Size, times: ReadonlyMap<Variant, Times>): void {
    const [floor, baseline] = [times.get("floor"), times.get("baseline")];
    if (floor === undefined || baseline === undefined) throw new Error("there is nothing to compare with");
    const busy = unrest(baseline) > MOST_UNREST;
    for (const variant of ["tierwall", "least", "plain"] as const) {
      const own = times.get(variant);
      if (own === undefined) continue;
      const figures = KINDS.map((kind): [Kind, Figure] => [kind, difference(own, baseline, kind)]);
      this.#row(backend, variant, size, figures, busy);
      if (variant === "tierwall" && !busy) this.#remember(backend, figures);
    }
    const { path, rule } = this.#backends.get(backend) ?? { path: [], rule: [] };
    path.push(absolute(baseline, "established"));
    rule.push(difference(baseline, floor, "established").median);
    this.#backends.set(backend, { path, rule });
  }

  end(): void {
    for (const [backend, { path, rule }] of this.#backends) {
      const [whole, one] = [median(path).toFixed(0), median(rule).toFixed(0)];
      this.#print(`${backend}: the baseline's path takes ${whole} ns, ${one} ns of them its one rule`);
      for (const kind of KINDS) this.#print(this.#verdict(backend, kind));
    }
  }

  #row(backend: Backend, ruleset: string, size: Size, figures: readonly [Kind, Figure][], busy: boolean): void {
    const cells = figures.map(([kind, figure]) => {
      const sign = busy ? "?" : ruleset === "tierwall" && figure.median > TARGETS[backend][kind] ? "!" : " ";
      return `${figureText(figure)}${sign}`.padStart(WIDTH);
    });
    const counts = [String(size.pods).padStart(4), String(size.policies).padStart(8), String(size.perPod).padStart(5)];
    this.#print([backend.padEnd(8), ruleset.padEnd(8), ...counts].join(" ") + cells.join(""));
  }

  #remember(backend: Backend, figures: readonly [Kind, Figure][]): void {
    for (const [kind, figure] of figures) {
      const key = `${backend} ${kind}`;
      this.#medians.set(key, [...(this.#medians.get(key) ?? []), figure.median]);
    }
  }

  #verdict(backend: Backend, kind: Kind): string {
    const medians = this.#medians.get(`${backend} ${kind}`) ?? [];
    const target = TARGETS[backend][kind];
    if (medians.length === 0) return `  ${TITLES[kind].padEnd(12)} not known: the machine was busy`;
    const missed = medians.filter((ns) => ns > target).length;
    const range = `${Math.min(...medians).toFixed(0)} to ${Math.max(...medians).toFixed(0)} ns`;
    const outcome = missed === 0 ? "met at every size" : `MISSED at ${missed} of ${medians.length} sizes`;
    return `  ${TITLES[kind].padEnd(12)} Tierwall adds ${range}, target ${target}: ${outcome}`;
  }
}

/** What single rules cost, line by line. */
export function printPrices(print: (line: string) => void, backend: Backend, prices: readonly Price[]): void {
  print(`${backend}: ns of one rule, the first of its kind on a packet's way and each further one`);
  for (const { name, first, further } of prices) {
    print(`  ${name.padEnd(20)}${first.toFixed(0).padStart(5)}${further.toFixed(0).padStart(5)}`);
  }
}

function figureText({ median: middle, least, most }: Figure): string {
  return `${middle.toFixed(0)} (${least.toFixed(0)}..${most.toFixed(0)})`;
}
