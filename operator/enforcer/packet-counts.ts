import type { AuditSubject } from "./layout/audits.ts";
import { DROP_CHAIN } from "./layout/skeleton.ts";

/** How many packets met their end in our chains since these stand, or since the enforcer has watched over them. */
export interface PacketCounts {
  readonly dropped: number;
  /** By policy, tier and direction. Each connection once for every time that it was judged. */
  readonly wouldDrop: readonly (AuditSubject & { readonly packets: number })[];
}

/** Chains whose last rule counts packets that somebody is told of. */
const COUNTING = /^TW-(?:DROP$|AR)/;
/** The same, where a text for iptables-restore empties or removes one. */
const EMPTYING = /^(?::|-[FX] )(TW-(?:DROP|AR\S*))(?: |$)/gm;

/** A change that empties a counter waits so long at most for somebody to read it. It takes some milliseconds. */
const COUNTED_MS = 100;

/** Whether the kernel forgets what it has counted when it takes this text. */
export function losesCounts(rules: string): boolean {
  return rules.search(EMPTYING) !== -1;
}

/**
 * Packets of one family. The kernel counts from nothing whenever a chain is written anew, as when an audit ends or somebody
 * has meddled with it: what was counted before is kept here, and what is said never goes back.
 */
export class PacketTotals {
  readonly #totals = new Map<string, number>();
  #last = new Map<string, number>();
  #looking: Promise<void> | undefined;
  /** How often a chain has been emptied. */
  #emptied = 0;

  /** By chain. */
  get totals(): ReadonlyMap<string, number> {
    return this.#totals;
  }

  /**
   * Takes what was counted so far. Who asks while somebody looks waits for the same answer: were there two, nobody
   * could tell which of them is the older.
   * @param reached how many packets reached the last rule of each chain
   */
  async look(reached: () => Promise<ReadonlyMap<string, number>>): Promise<void> {
    const emptied = this.#emptied;
    this.#looking ??= reached()
      .then((chains) => {
        // What was read of a chain before it was emptied would count once more.
        if (emptied === this.#emptied) this.#take(chains);
      })
      .finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  /** Takes what the kernel has counted before these rules make it forget that, if that does not take long. */
  async keep(
    rules: string,
    reached: (signal: AbortSignal) => Promise<ReadonlyMap<string, number>>,
    signal: AbortSignal,
  ): Promise<void> {
    if (!losesCounts(rules)) return;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(COUNTED_MS)]);
    const late = new Promise<void>((resolve) => limit.addEventListener("abort", () => resolve(), { once: true }));
    // No change waits for a counter that cannot be read: whoever asks for it is told why.
    await Promise.race([this.look(() => reached(limit)).catch(() => undefined), late]);
  }

  /** The kernel has taken these rules: what they empty counts from nothing. */
  emptied(rules: string): void {
    for (const [, chain = ""] of rules.matchAll(EMPTYING)) {
      this.#last.delete(chain);
      this.#emptied += 1;
    }
  }

  #take(chains: ReadonlyMap<string, number>): void {
    for (const [chain, packets] of chains) {
      if (!COUNTING.test(chain)) continue;
      const before = this.#last.get(chain) ?? 0;
      // Fewer than before: somebody has emptied it meanwhile, and what came between is lost.
      const more = packets < before ? packets : packets - before;
      this.#totals.set(chain, (this.#totals.get(chain) ?? 0) + more);
    }
    this.#last = new Map(chains);
  }
}

/** @param families for each, how many packets reached the end of a chain */
export function packetCounts(
  families: readonly ReadonlyMap<string, number>[],
  subjects: ReadonlyMap<string, AuditSubject>,
): PacketCounts {
  const of = (chain: string) => families.reduce((sum, chains) => sum + (chains.get(chain) ?? 0), 0);
  return {
    dropped: of(DROP_CHAIN),
    wouldDrop: [...subjects].map(([chain, subject]) => ({ ...subject, packets: of(chain) })),
  };
}
