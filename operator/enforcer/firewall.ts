import type { NodeState } from "../api/node-state.ts";
import type { Family } from "./layout/family.ts";
import { layout } from "./layout/layout.ts";
import type { Ruleset } from "./layout/ruleset.ts";
import type { Backend, Netfilter } from "./netfilter/netfilter.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";
import { probe } from "./netfilter/probe.ts";
import { addressChangedOwner, EMPTY_STATE } from "./node-state.ts";
import type { KernelState } from "./render/kernel-state.ts";
import type { Marks } from "./render/marks.ts";
import { FIELDS, markText, nextGeneration } from "./render/marks.ts";
import type { Plan } from "./render/plan.ts";
import { inForce, kernelMarks, narrows, plan, setSteps, skeletonText } from "./render/plan.ts";
import { StateNames, UNNAMED } from "./render/state-name.ts";

/** What `apply` did: whether anything had to be written, and how much of ours the kernel holds. */
export interface Applied {
  readonly wrote: boolean;
  readonly rules: number;
  readonly sets: number;
}

/** Keeps one family's kernel tables equal to a node's state. One call at a time. */
export class Firewall {
  readonly #netfilter: Netfilter;
  readonly #family: Family;
  /** What the kernel is known to hold; `undefined` = read it before the next write. */
  #kernel: KernelState | undefined;
  #marks: Marks | undefined;
  #state: NodeState | undefined;
  #garbage: Plan | undefined;
  /**
   * The kernel may allow less than when connections were last judged: a generation was due and is not known to be
   * written. `undefined` = not known yet, after a start.
   */
  #due: boolean | undefined;
  /** In force, but not yet named by the kernel's generation rule. */
  #unnamed: Ruleset | undefined;
  readonly #names = new StateNames();
  /**
   * A generation that no connection carries, looked for while nothing else is to be done: the search takes up to a
   * second on a busy node. `undefined` in the end = it could not be found out.
   */
  #reserve: Promise<number | undefined> | undefined;

  constructor(netfilter: Netfilter, family: Family) {
    this.#netfilter = netfilter;
    this.#family = family;
  }

  get backend(): Backend {
    return this.#netfilter.backend;
  }

  /**
   * Chooses the mark bits and installs the skeleton where there is none. What an earlier run left stays as it is.
   * @throws NetfilterError
   */
  async prepare(signal: AbortSignal): Promise<void> {
    const kernel = await this.#netfilter.read(this.#family, signal);
    const foreign = await this.#netfilter.foreignMarkBits(signal);
    const standing = kernelMarks(kernel);
    const fields = FIELDS.filter((mask) => (mask & foreign) === 0);
    const mask = standing !== undefined && fields.includes(standing.mask) ? standing.mask : fields[0];
    if (mask === undefined) throw new NetfilterError("ConnmarkInUse", "others use all bits of the connection mark");
    if (standing?.mask === mask) {
      this.#marks = standing;
    } else {
      await probe(this.#netfilter, this.#family, mask, signal);
      this.#marks = await this.#next({ mask, generation: 0, state: UNNAMED }, signal);
    }
    const text = skeletonText(kernel, layout(EMPTY_STATE, this.#family), this.#marks);
    if (text !== "") await this.#netfilter.restoreRules(this.#family, text, signal);
  }

  /**
   * Makes the kernel hold `state`. When it returns, no connection passes that `state` denies; connections that it
   * allows were never cut. @throws NetfilterError; the next call then reads the kernel first.
   */
  async apply(state: NodeState, signal: AbortSignal): Promise<Applied> {
    const before = this.#state;
    // After a start, a failure, or for a check: what is found to differ then is a repair, and may have let anyone in.
    const repair = this.#kernel === undefined;
    const current = this.#kernel ?? (await this.#netfilter.read(this.#family, signal));
    if (this.#marks === undefined) throw new Error("apply before prepare");
    const marks = this.#marks;
    const ruleset = layout(state, this.#family);
    const moved = before !== undefined && addressChangedOwner(before, state);
    const sets = setSteps(current, ruleset);
    const steps = plan(current, ruleset, marks, marks, sets);
    const due = this.#due ?? marks.state !== this.#names.nameOf(ruleset);
    const narrower = moved || due || (!inForce(steps) && (repair || narrows(current, ruleset, marks, sets)));
    this.#due = narrower;
    const next = narrower ? { ...(await this.#next(marks, signal)), state: UNNAMED } : marks;
    // The kernel must not name a state that it may look like half-way: see `#nameState`.
    const from = this.#unnamed === undefined ? marks : { ...marks, state: UNNAMED };
    await this.#run(narrower ? plan(current, ruleset, from, next, sets) : steps, signal);
    this.#due = false;
    this.#marks = next;
    this.#state = state;
    // Nobody waits for it: states come in bursts, and the next one then finds it done.
    this.#reserve ??= this.#freeGeneration(next, signal).catch(() => undefined);
    const wrote = narrower || !inForce(steps);
    if (wrote) this.#unnamed = ruleset;
    return { wrote, ...count(ruleset) };
  }

  /** Reads the kernel and puts right what is not as `state` wants it. @throws NetfilterError */
  async verify(state: NodeState, signal: AbortSignal): Promise<Applied> {
    this.#kernel = undefined;
    return await this.apply(state, signal);
  }

  /**
   * What may wait until a state is confirmed but not until the next one: removes what nothing refers to any more,
   * names the state in the kernel. @throws NetfilterError
   */
  async sweep(signal: AbortSignal): Promise<void> {
    const garbage = this.#garbage;
    this.#garbage = undefined;
    if (garbage !== undefined && garbage.sweepChains !== "") {
      this.#kernel = undefined;
      await this.#netfilter.restoreRules(this.#family, garbage.sweepChains, signal);
      // nftables lets go of a dead chain's sets only some time later: they go with the next sweep.
      this.#kernel = garbage.unchained;
    } else if (garbage !== undefined && garbage.sweepSets !== "") {
      this.#kernel = undefined;
      await this.#netfilter.restoreSets(garbage.sweepSets, signal);
      this.#kernel = garbage.swept;
    }
    await this.#nameState(signal);
  }

  async #run(steps: Plan, signal: AbortSignal): Promise<void> {
    // Forgotten before the first write: a failure leaves an unknown part in force.
    this.#kernel = undefined;
    if (steps.fill !== "") await this.#netfilter.restoreSets(steps.fill, signal);
    if (steps.rules !== "") await this.#netfilter.restoreRules(this.#family, steps.rules, signal);
    if (steps.drain !== "") await this.#netfilter.restoreSets(steps.drain, signal);
    if (steps.generation !== "") await this.#netfilter.restoreRules(this.#family, steps.generation, signal);
    this.#kernel = steps.applied;
    this.#garbage = steps;
  }

  /**
   * Were the kernel to name an older, narrower state, then a change back to it that is cut short before its generation
   * would look finished to the next start.
   */
  async #nameState(signal: AbortSignal): Promise<void> {
    if (this.#unnamed === undefined || this.#kernel === undefined || this.#marks === undefined) return;
    const marks = { ...this.#marks, state: this.#names.nameOf(this.#unnamed) };
    const { rules, applied } = plan(this.#kernel, this.#unnamed, marks, marks);
    this.#kernel = undefined;
    if (rules !== "") await this.#netfilter.restoreRules(this.#family, rules, signal);
    this.#kernel = applied;
    this.#marks = marks;
    this.#unnamed = undefined;
  }

  async #next(marks: Marks, signal: AbortSignal): Promise<Marks> {
    const generation = (await this.#reserve) ?? (await this.#freeGeneration(marks, signal));
    this.#reserve = undefined;
    return { ...marks, generation };
  }

  /** A connection that slept since the value's last turn would wake up allowed. */
  async #freeGeneration(marks: Marks, signal: AbortSignal): Promise<number> {
    for (let generation = nextGeneration(marks.generation); ; generation = nextGeneration(generation)) {
      const mark = markText("generation", { ...marks, generation });
      if (!(await this.#netfilter.connectionHolds(mark, signal))) return generation;
    }
  }
}

function count({ chains, sets }: Ruleset): { readonly rules: number; readonly sets: number } {
  return { rules: chains.values().reduce((sum, rules) => sum + rules.length, 0), sets: sets.size };
}
