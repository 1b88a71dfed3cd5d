import { NetfilterError } from "./netfilter/netfilter.ts";
import { deniedValue, nextGeneration, runText } from "./render/marks.ts";

/**
 * Values for the next generations of one family, none of which a tracked connection carries: one that slept since the
 * value's last turn would wake up allowed. To look takes up to a second on a busy node, so it is done for many values
 * at once and before they are needed. A value that nobody carries gets no carrier until it is the generation.
 */
export class Generations {
  readonly #mask: number;
  readonly #isHeld: (marks: string, signal: AbortSignal) => Promise<boolean>;
  /** Looked for, in their order. */
  readonly #free: number[] = [];
  #looking: Promise<void> | undefined;
  /** The last one that was looked at. */
  #last: number;

  /**
   * @param last the generation that is in force now; 0 = none
   * @param isHeld whether a connection's mark is one of those (`0x10000/0xffff0000`, or fewer bits of the mask)
   */
  constructor(mask: number, last: number, isHeld: (marks: string, signal: AbortSignal) => Promise<boolean>) {
    this.#mask = mask;
    this.#last = last;
    this.#isHeld = isHeld;
  }

  /**
   * The next one. Only the first, and those after a search that failed, are waited for.
   * @throws NetfilterError if there is none
   */
  async next(signal: AbortSignal): Promise<number> {
    const values = deniedValue(this.#mask);
    // Each look gets on by one value at least: after so many it has come round.
    for (let looks = 0; looks <= values; looks += 1) {
      const generation = this.#free.shift();
      if (generation !== undefined) return generation;
      await (this.#looking ?? this.#look(signal));
    }
    const mask = `0x${this.#mask.toString(16)}`;
    const message = `tracked connections carry each of the ${values - 1} values of the connection mark's bits ${mask}`;
    throw new NetfilterError("GenerationsExhausted", `${message}: give the setting connmark.mask more bits`);
  }

  /** Looks for more where they run short. To be called when nobody waits; what goes wrong shows when one is needed. */
  refill(signal: AbortSignal): void {
    if (this.#free.length >= FEW || this.#looking !== undefined) return;
    this.#looking = this.#look(signal)
      .then(() => true, () => false)
      .then((found) => {
        this.#looking = undefined;
        if (found) this.refill(signal);
      });
  }

  /** Finds one run of free values, or one value that is held. */
  async #look(signal: AbortSignal): Promise<void> {
    const first = nextGeneration({ mask: this.#mask, generation: this.#last });
    for (let count = longestRun(first, this.#mask); count >= 1; count /= 2) {
      if (await this.#isHeld(runText(first, count, this.#mask), signal)) continue;
      for (let value = first; value < first + count; value += 1) this.#free.push(value);
      this.#last = first + count - 1;
      return;
    }
    this.#last = first;
  }
}

/** So many are in reserve, where nothing goes wrong. */
const FEW = 8;
const MOST_AT_ONCE = 32;

/** Values from `first` on that differ in their low bits alone, so that one look tells of all; a power of two. */
function longestRun(first: number, mask: number): number {
  let count = MOST_AT_ONCE;
  while (count > 1 && (first % count !== 0 || first + count > deniedValue(mask))) count /= 2;
  return count;
}
