import type { Family } from "./layout/family.ts";
import type { Netfilter } from "./netfilter/netfilter.ts";
import type { PacketTotals } from "./packet-counts.ts";
import type { KernelState } from "./render/kernel-state.ts";
import type { Plan } from "./render/plan.ts";
import { inForce } from "./render/plan.ts";

/** One family's tables in the kernel, what they are known to hold, and everything that is written into them. */
export class KnownKernel {
  readonly #netfilter: Netfilter;
  readonly #family: Family;
  readonly #packets: PacketTotals;
  #state: KernelState | undefined;
  /** What the last plan has left, to be swept up. */
  #garbage: Plan | undefined;
  /** New sets and members on their way. */
  #filling: Promise<void> = Promise.resolve();

  constructor(netfilter: Netfilter, family: Family, packets: PacketTotals) {
    this.#netfilter = netfilter;
    this.#family = family;
    this.#packets = packets;
  }

  /** `undefined` = it has to be read before the next write. */
  get state(): KernelState | undefined {
    return this.#state;
  }

  /** Somebody else may have written, or we are about to: a failure leaves an unknown part in force. */
  forget(): void {
    this.#state = undefined;
    // What to sweep up was found out from what was known.
    this.#garbage = undefined;
  }

  /** Nothing is left to be swept up. */
  get isSwept(): boolean {
    return this.#garbage === undefined || (this.#garbage.sweepChains === "" && this.#garbage.sweepSets === "");
  }

  /** @throws NetfilterError */
  async read(signal: AbortSignal): Promise<KernelState> {
    return await this.#netfilter.read(this.#family, signal);
  }

  /**
   * Begins with the first step of a plan, for which only the sets have to be known: `run` goes on with the others.
   * @param fill of `setSteps`
   */
  fill(fill: string, signal: AbortSignal): void {
    if (fill === "") return;
    this.forget();
    this.#filling = this.#netfilter.restoreSets(fill, signal);
    // Whoever goes on is told; whoever does not has a reason of its own.
    this.#filling.catch(() => undefined);
  }

  /** When what was begun is over, however it ended. */
  async still(): Promise<void> {
    await this.#filling.catch(() => undefined);
    this.#filling = Promise.resolve();
  }

  /** The other steps of the plan. @throws NetfilterError */
  async run(steps: Plan, signal: AbortSignal): Promise<void> {
    if (!inForce(steps)) this.forget();
    this.#garbage = undefined;
    const { rules, drain, generation } = steps;
    const filling = this.#filling;
    this.#filling = Promise.resolve();
    await Promise.all([filling, this.#count(rules + generation, signal)]);
    // The tool is asked once where nothing has to come in between.
    const [first, second] = drain === "" ? [rules + generation, ""] : [rules, generation];
    await this.#restoreRules(first, signal);
    if (drain !== "") await this.#netfilter.restoreSets(drain, signal);
    await this.#restoreRules(second, signal);
    this.#state = steps.applied;
    this.#garbage = steps;
  }

  /** Writes rules after which the kernel is known to hold `applied`. @throws NetfilterError */
  async amend(rules: string, applied: KernelState, signal: AbortSignal): Promise<void> {
    this.forget();
    await this.#restoreRules(rules, signal);
    this.#state = applied;
  }

  /** Removes what nothing refers to any more. @throws NetfilterError */
  async sweep(signal: AbortSignal): Promise<void> {
    const garbage = this.#garbage;
    this.#garbage = undefined;
    if (garbage === undefined) return;
    const { sweepChains, sweepSets } = garbage;
    if (sweepChains !== "") {
      await this.#count(sweepChains, signal);
      // nftables lets go of a dead chain's sets only some time later: they go with the next sweep.
      await this.amend(sweepChains, garbage.unchained, signal);
    } else if (sweepSets !== "") {
      this.forget();
      await this.#netfilter.restoreSets(sweepSets, signal);
      this.#state = garbage.swept;
    }
  }

  /** Looks how many packets met their end in our chains. @throws NetfilterError */
  async count(signal: AbortSignal): Promise<void> {
    await this.#packets.look(() => this.#netfilter.reached(this.#family, signal));
  }

  async #count(rules: string, signal: AbortSignal): Promise<void> {
    await this.#packets.keep(rules, (limit) => this.#netfilter.reached(this.#family, limit), signal);
  }

  async #restoreRules(text: string, signal: AbortSignal): Promise<void> {
    if (text === "") return;
    await this.#netfilter.restoreRules(this.#family, text, signal);
    this.#packets.emptied(text);
  }
}
