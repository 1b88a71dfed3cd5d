import type { NodeState } from "../api/node-state.ts";
import { Generations } from "./generations.ts";
import { GoneAddresses } from "./gone-addresses.ts";
import { GoodCheck } from "./good-check.ts";
import { KnownKernel } from "./known-kernel.ts";
import type { Family } from "./layout/family.ts";
import { familyOf } from "./layout/family.ts";
import { Layout, layout } from "./layout/layout.ts";
import type { LayoutOptions } from "./layout/options.ts";
import type { Ruleset } from "./layout/ruleset.ts";
import { Leavers } from "./leavers.ts";
import type { MemberView, Netfilter } from "./netfilter/netfilter.ts";
import { EMPTY_STATE, Owners, withoutMembers } from "./node-state.ts";
import { PacketTotals } from "./packet-counts.ts";
import { asHeld } from "./render/as-held.ts";
import type { KernelState } from "./render/kernel-state.ts";
import type { Marks } from "./render/marks.ts";
import { inForce, kernelMarks, narrowsChains, plan, setSteps, skeletonText } from "./render/plan.ts";
import { StateNames, UNNAMED } from "./render/state-name.ts";
import { cutTracked } from "./tracked-cut.ts";

/** What a family's rules are to be, beside what the state says. */
export interface FamilyPlan {
  readonly options: LayoutOptions;
  /** Field of the connection mark for our verdicts; 0 = connection tracking alone remembers. */
  readonly mask: number;
  /** The node's own: what goes to or comes from them is hooked only in part. */
  readonly ownAddresses: ReadonlySet<string>;
  /** Connections of peers that leave are cut together, at most once in so many milliseconds. */
  readonly leaversMs: number;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
}

/** What `apply` did in one family: whether anything had to be written, and how much of ours the kernel holds. */
export interface FamilyApplied {
  readonly wrote: boolean;
  readonly rules: number;
  readonly sets: number;
  /** When `apply` wants to be called again to cut the connections of peers that have left; by the monotonic clock. */
  readonly leaversDue: number | undefined;
}

/** What goes on where settings or the node have another `FamilyFirewall` take the place of one. */
export class FamilyRecords {
  readonly packets = new PacketTotals();
  readonly gone = new GoneAddresses();
}

/** Keeps one family's kernel tables equal to a node's state. One call at a time. */
export class FamilyFirewall {
  readonly family: Family;
  readonly #netfilter: Netfilter;
  readonly #kernel: KnownKernel;
  #plan: FamilyPlan;
  #layout: Layout;
  #marks: Marks | undefined;
  #state: NodeState | undefined;
  /**
   * The kernel may allow less than when connections were last judged: they are to be judged again, and that is not
   * known to be done. `undefined` = not known yet, after a start.
   */
  #due: boolean | undefined;
  /** In force, but not yet named by the kernel's rules. */
  #unnamed: { readonly meant: Ruleset; readonly ruleset: Ruleset } | undefined;
  readonly #leavers = new Leavers();
  readonly #names = new StateNames();
  readonly #owners: Owners;
  readonly #checked = new GoodCheck();
  #generations: Generations | undefined;
  readonly #records: FamilyRecords;
  #intact = true;

  constructor(netfilter: Netfilter, family: Family, given: FamilyPlan, records = new FamilyRecords()) {
    this.#netfilter = netfilter;
    this.family = family;
    this.#records = records;
    this.#kernel = new KnownKernel(netfilter, family, records.packets);
    this.#plan = given;
    this.#layout = new Layout(family, given.options);
    this.#owners = new Owners(family);
  }

  /**
   * Installs the skeleton where there is none. What an earlier run left stays as it is.
   * @param judged packets are judged elsewhere until a state comes: what is no pod's is not closed before, nor are pods
   * @throws NetfilterError
   */
  async prepare(signal: AbortSignal, judged = false): Promise<void> {
    const kernel = await this.#kernel.read(signal);
    const { mask, options } = this.#plan;
    const standing = kernelMarks(kernel);
    this.#marks = standing?.mask === mask ? standing : await this.#fresh(signal);
    const empty = layout(EMPTY_STATE, this.family, judged ? { ...options, closedNets: [] } : options);
    const text = skeletonText(kernel, empty, this.#marks);
    if (text === "") return;
    // Where it was missing anyone may have slipped through.
    this.#due = true;
    await this.#netfilter.restoreRules(this.family, text, signal);
  }

  /** By which a kernel that holds `state` calls it. */
  nameOf(state: NodeState): string {
    return this.#names.nameOf(this.#layout.of(state));
  }

  /** What is found out about the node while it runs. */
  adjust({ bridged, ownAddresses }: { readonly bridged: boolean; readonly ownAddresses: ReadonlySet<string> }): void {
    const changed = bridged !== this.#plan.options.bridged;
    this.#plan = { ...this.#plan, ownAddresses, options: { ...this.#plan.options, bridged } };
    if (changed) this.#layout = new Layout(this.family, this.#plan.options);
  }

  /**
   * Makes the kernel hold `state`. When it returns, no connection passes that `state` denies, but for those of peers
   * that have left within `leaversMs`; connections that it allows were never cut.
   * @throws NetfilterError; the next call then reads the kernel first.
   */
  async apply(state: NodeState, signal: AbortSignal): Promise<FamilyApplied> {
    return await this.#apply(state, undefined, signal);
  }

  /** @param found what the kernel has just been seen to hold */
  async #apply(state: NodeState, found: KernelState | undefined, signal: AbortSignal): Promise<FamilyApplied> {
    const owners = this.#owners.changes(this.#state, state);
    const { gone } = this.#records;
    // A pod that came after another was gone, and before what that one had open was forgotten, takes its place as well.
    const moved = [...owners.moved, ...(await gone.claim(owners.came))];
    if (moved.length > 0) {
      // What the old pod's address was allowed must be over before the new one's begins to count.
      await this.#bring(withoutMembers(state, moved), moved, found, signal);
      gone.release(moved);
    }
    const applied = await this.#bring(state, [], found, signal);
    return { ...applied, wrote: applied.wrote || moved.length > 0 };
  }

  async #bring(
    state: NodeState,
    moved: readonly string[],
    found: KernelState | undefined,
    signal: AbortSignal,
  ): Promise<FamilyApplied> {
    const known = this.#kernel.state;
    // After a start, a failure, or for a check: what is found to differ then is a repair, and may have let anyone in.
    const repair = known === undefined;
    const current = known ?? found ?? (await this.#look(this.#kernel.read(signal)));
    const marks = this.#marks;
    if (marks === undefined) throw new Error("apply before prepare");
    try {
      const applied = await this.#write({ state, moved, current, marks, repair }, signal);
      if (repair) this.#intact = true;
      return applied;
    } catch (error) {
      // Members that came later than what is done next would stay.
      await this.#kernel.still();
      if (repair) this.#intact &&= this.#holds(current, marks);
      throw error;
    }
  }

  async #write({ state, moved, current, marks, repair }: Change, signal: AbortSignal): Promise<FamilyApplied> {
    const { options, ownAddresses, leaversMs, monotonic } = this.#plan;
    const meant = this.#layout.of(state);
    const ruleset = asHeld(current, meant, marks);
    const sets = setSteps(current, ruleset);
    // While the kernel takes them, the rules are worked out.
    this.#kernel.fill(sets.fill, signal);
    const due = this.#due ?? (marks.state === undefined || marks.state !== this.#names.nameOf(meant));
    const moves = !repair && narrowsChains(current, ruleset, marks);
    // What there is to do if nobody's connections need be judged again.
    const steps = due || moves ? undefined : plan(current, ruleset, marks, marks, sets);
    const narrowed = moved.length > 0 || steps === undefined || (repair && !inForce(steps));
    const leaving = sets.drain !== "" || this.#leavers.due !== undefined;
    const postponed = leaving && !narrowed && this.#leavers.mayWait(monotonic(), leaversMs);
    const narrower = narrowed || (leaving && !postponed);
    // Postponed ones are known to the next apply only if this one comes to its end.
    this.#due = narrower || postponed;
    const next = narrower ? { ...(await this.#next(marks, signal)), ...this.#name(UNNAMED) } : marks;
    // The kernel must not name a state that it may look like half-way: see `#nameState`.
    const from = this.#unnamed === undefined ? marks : { ...marks, ...this.#name(UNNAMED) };
    // Nor while leavers are not cut: they may leave it as it was before they came.
    const to = narrower ? next : postponed ? from : marks;
    const apart = this.#netfilter.backend === "nft";
    const taken = narrower || postponed || steps === undefined ? plan(current, ruleset, from, to, sets, apart) : steps;
    if (!inForce(taken)) this.#checked.forget();
    await this.#kernel.run(taken, signal);
    if (narrower && next.mask === 0) {
      await cutTracked(this.#netfilter, this.family, { state, moved, options, ownAddresses }, signal);
    }
    if (narrower) this.#leavers.cut(monotonic());
    if (postponed) this.#leavers.postponed(leaversMs);
    this.#due = false;
    this.#marks = to;
    // Not before: a pod whose leaving failed may stay.
    this.#records.gone.add(this.#owners.changes(this.#state, state).left);
    this.#state = state;
    // Nobody waits for it: states come in bursts, and the next one then finds it done.
    this.#generations?.refill(signal);
    const wrote = narrower || !inForce(taken);
    if (wrote) this.#unnamed = { meant, ruleset };
    return { wrote, ...count(ruleset), leaversDue: this.#leavers.due };
  }

  /** What nobody can look at is not known to hold. */
  async #look<T>(look: Promise<T>): Promise<T> {
    try {
      return await look;
    } catch (error) {
      this.#intact = false;
      throw error;
    }
  }

  /** Whether the kernel has been found to hold all of what was last brought about. */
  #holds(found: KernelState, marks: Marks): boolean {
    if (this.#state === undefined) return false;
    return inForce(plan(found, asHeld(found, this.#layout.of(this.#state), marks), marks, marks));
  }

  /** Members of the sets, when they were last looked at. */
  get members(): number {
    return this.#checked.members;
  }

  /**
   * What was last wholly brought about is in force as far as anybody knows: changes that failed since have left it as it
   * was. Not so once the kernel could not be read, or was found otherwise and could not be put right.
   */
  get intact(): boolean {
    return this.#intact;
  }

  /** Looks at the kernel and puts right what is not as `state` wants it. @throws NetfilterError */
  async verify(state: NodeState, view: MemberView, signal: AbortSignal): Promise<FamilyApplied> {
    // A kernel that cannot be read holds up no change: what it is known to hold stays known.
    const outline = await this.#look(this.#netfilter.outline(this.family, view, signal));
    const look = { state, layout: this.#layout, view, outline };
    const known = this.#kernel.state === undefined ? undefined : this.#checked.stillGood(look);
    if (known !== undefined) {
      this.#intact = true;
      return known;
    }
    const found = await this.#look(this.#kernel.read(signal));
    this.#kernel.forget();
    const applied = await this.#apply(state, found, signal);
    if (!applied.wrote && this.#isSettled) this.#checked.keep({ ...look, applied }, membersOf(found));
    return applied;
  }

  /** Nothing is left to be written or swept up, now or later. */
  get #isSettled(): boolean {
    return this.#kernel.isSwept && this.#leavers.due === undefined && this.#unnamed === undefined;
  }

  /**
   * What may wait until a state is confirmed but not until the next one: removes what nothing refers to any more,
   * names the state in the kernel, forgets connections of pods that are gone. @throws NetfilterError
   */
  async sweep(signal: AbortSignal): Promise<void> {
    await this.#kernel.sweep(signal);
    await this.#nameState(signal);
    this.#records.gone.forget((address, stop) => this.#netfilter.forgetAddress(this.family, address, stop), signal);
  }

  /** Looks how many packets met their end in our chains. @throws NetfilterError */
  async count(signal: AbortSignal): Promise<void> {
    await this.#kernel.count(signal);
  }

  /**
   * Were the kernel to name an older, narrower state, then a change back to it that is cut short before its generation
   * would look finished to the next start.
   */
  async #nameState(signal: AbortSignal): Promise<void> {
    const current = this.#kernel.state;
    if (this.#unnamed === undefined || current === undefined || this.#marks === undefined) return;
    // Until the leavers are cut, what stands is more than the state allows.
    if (this.#leavers.due !== undefined) return;
    const { meant, ruleset } = this.#unnamed;
    const marks = { ...this.#marks, ...this.#name(this.#names.nameOf(meant)) };
    const { rules, applied } = plan(current, ruleset, marks, marks);
    await this.#kernel.amend(rules, applied, signal);
    this.#marks = marks;
    this.#unnamed = undefined;
  }

  #name(state: string): Pick<Marks, "state"> {
    return { state: this.#plan.options.lacks.has("comment") ? undefined : state };
  }

  async #fresh(signal: AbortSignal): Promise<Marks> {
    return await this.#next({ mask: this.#plan.mask, generation: 0, ...this.#name(UNNAMED) }, signal);
  }

  async #next(marks: Marks, signal: AbortSignal): Promise<Marks> {
    const { mask, generation } = marks;
    if (mask === 0) return marks;
    this.#generations ??= new Generations(mask, generation, (values, until) => {
      return this.#netfilter.connectionHolds(this.family, values, until);
    });
    return { ...marks, generation: await this.#generations.next(signal) };
  }
}

/** What is to become of the kernel, and from what. */
interface Change {
  readonly state: NodeState;
  /** Addresses that were another pod's. */
  readonly moved: readonly string[];
  readonly current: KernelState;
  readonly marks: Marks;
  /** Nobody knew what the kernel holds: what is found to differ may have let anyone in. */
  readonly repair: boolean;
}

function membersOf({ sets }: KernelState): number {
  return sets.values().reduce((sum, { members }) => sum + members.size, 0);
}

function count({ chains, sets }: Ruleset): { readonly rules: number; readonly sets: number } {
  return { rules: chains.values().reduce((sum, rules) => sum + rules.length, 0), sets: sets.size };
}

/** Whether any pod of the node has an address of the family. */
export function hasFamily(state: NodeState, family: Family): boolean {
  return state.pods.values().some(({ addresses }) => addresses.some((address) => familyOf(address) === family));
}
