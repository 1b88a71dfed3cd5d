import type { NodeState } from "../api/node-state.ts";
import { Generations } from "./generations.ts";
import { GoneAddresses } from "./gone-addresses.ts";
import { GoodCheck } from "./good-check.ts";
import type { Family } from "./layout/family.ts";
import { familyOf } from "./layout/family.ts";
import { allowsFlow } from "./layout/flow-verdict.ts";
import { Layout, layout } from "./layout/layout.ts";
import type { LayoutOptions } from "./layout/options.ts";
import type { Ruleset } from "./layout/ruleset.ts";
import type { MemberView, Netfilter } from "./netfilter/netfilter.ts";
import { EMPTY_STATE, Owners, withoutMembers } from "./node-state.ts";
import { losesCounts, PacketTotals } from "./packet-counts.ts";
import { chainsOf } from "./render/chain-lines.ts";
import type { KernelState } from "./render/kernel-state.ts";
import { inKernelOrder } from "./render/leaf-order.ts";
import type { Marks } from "./render/marks.ts";
import type { Plan } from "./render/plan.ts";
import { inForce, kernelMarks, narrowsChains, plan, setSteps, skeletonText } from "./render/plan.ts";
import { withVersions } from "./render/set-versions.ts";
import { StateNames, UNNAMED } from "./render/state-name.ts";

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

/** A change that empties a counter waits so long at most for somebody to read it. It takes some milliseconds. */
const COUNTED_MS = 100;

/** Keeps one family's kernel tables equal to a node's state. One call at a time. */
export class FamilyFirewall {
  readonly family: Family;
  readonly #netfilter: Netfilter;
  #plan: FamilyPlan;
  #layout: Layout;
  /** What the kernel is known to hold; `undefined` = read it before the next write. */
  #kernel: KernelState | undefined;
  #marks: Marks | undefined;
  #state: NodeState | undefined;
  #garbage: Plan | undefined;
  /**
   * The kernel may allow less than when connections were last judged: they are to be judged again, and that is not
   * known to be done. `undefined` = not known yet, after a start.
   */
  #due: boolean | undefined;
  /** In force, but not yet named by the kernel's rules. */
  #unnamed: { readonly meant: Ruleset; readonly ruleset: Ruleset } | undefined;
  /** When connections were last judged anew, and when those of peers that have left since are to be. */
  #cutAt = -Infinity;
  #leaversDue: number | undefined;
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
    this.#plan = given;
    this.#layout = new Layout(family, given.options);
    this.#owners = new Owners(family);
  }

  /** Installs the skeleton where there is none. What an earlier run left stays as it is. @throws NetfilterError */
  async prepare(signal: AbortSignal): Promise<void> {
    const kernel = await this.#netfilter.read(this.family, signal);
    const { mask, options } = this.#plan;
    const standing = kernelMarks(kernel);
    this.#marks = standing?.mask === mask ? standing : await this.#fresh(signal);
    const text = skeletonText(kernel, layout(EMPTY_STATE, this.family, options), this.#marks);
    if (text !== "") await this.#netfilter.restoreRules(this.family, text, signal);
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
    gone.add(owners.left);
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
    // After a start, a failure, or for a check: what is found to differ then is a repair, and may have let anyone in.
    const repair = this.#kernel === undefined;
    const current = this.#kernel ?? found ?? (await this.#look(this.#netfilter.read(this.family, signal)));
    if (this.#marks === undefined) throw new Error("apply before prepare");
    try {
      const applied = await this.#write(state, moved, current, this.#marks, signal);
      if (repair) this.#intact = true;
      return applied;
    } catch (error) {
      if (repair) this.#intact &&= this.#holds(current, this.#marks);
      throw error;
    }
  }

  async #write(
    state: NodeState,
    moved: readonly string[],
    current: KernelState,
    marks: Marks,
    signal: AbortSignal,
  ): Promise<FamilyApplied> {
    const repair = this.#kernel === undefined;
    const meant = this.#layout.of(state);
    const ruleset = asHeld(current, meant, marks);
    const sets = setSteps(current, ruleset);
    const due = this.#due ?? (marks.state === undefined || marks.state !== this.#names.nameOf(meant));
    const moves = !repair && narrowsChains(current, ruleset, marks);
    // What there is to do if nobody's connections need be judged again.
    const steps = due || moves ? undefined : plan(current, ruleset, marks, marks, sets);
    const narrowed = moved.length > 0 || steps === undefined || (repair && !inForce(steps));
    // Peers leave all the time on a busy cluster: those of a second are cut together.
    const leaving = sets.drain !== "" || this.#leaversDue !== undefined;
    const postponed = leaving && !narrowed && !this.#mayCutLeavers();
    const narrower = narrowed || (leaving && !postponed);
    this.#due = narrower;
    const next = narrower ? { ...(await this.#next(marks, signal)), ...this.#name(UNNAMED) } : marks;
    // The kernel must not name a state that it may look like half-way: see `#nameState`.
    const from = this.#unnamed === undefined ? marks : { ...marks, ...this.#name(UNNAMED) };
    const apart = this.#netfilter.backend === "nft";
    const taken = narrower || steps === undefined ? plan(current, ruleset, from, next, sets, apart) : steps;
    await this.#run(taken, signal);
    if (narrower) await this.#cutTracked(state, moved, signal);
    const now = this.#plan.monotonic();
    if (narrower) this.#cutAt = now;
    this.#leaversDue = postponed ? (this.#leaversDue ?? this.#cutAt + this.#plan.leaversMs) : undefined;
    this.#due = false;
    this.#marks = next;
    this.#state = state;
    // Nobody waits for it: states come in bursts, and the next one then finds it done.
    this.#generations?.refill(signal);
    const wrote = narrower || !inForce(taken);
    if (wrote) this.#unnamed = { meant, ruleset };
    const applied = { wrote, ...count(ruleset), leaversDue: this.#leaversDue };
    return applied;
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

  #mayCutLeavers(): boolean {
    return this.#plan.monotonic() - this.#cutAt >= this.#plan.leaversMs;
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
    const known = this.#kernel === undefined ? undefined : this.#checked.stillGood(look);
    if (known !== undefined) {
      this.#intact = true;
      return known;
    }
    const found = await this.#look(this.#netfilter.read(this.family, signal));
    this.#kernel = undefined;
    const applied = await this.#apply(state, found, signal);
    if (!applied.wrote && this.#isSettled) this.#checked.keep({ ...look, applied }, membersOf(found));
    return applied;
  }

  /** Nothing is left to be written or swept up, now or later. */
  get #isSettled(): boolean {
    const swept = this.#garbage === undefined || (this.#garbage.sweepChains === "" && this.#garbage.sweepSets === "");
    return swept && this.#leaversDue === undefined && this.#unnamed === undefined;
  }

  /**
   * What may wait until a state is confirmed but not until the next one: removes what nothing refers to any more,
   * names the state in the kernel, forgets connections of pods that are gone. @throws NetfilterError
   */
  async sweep(signal: AbortSignal): Promise<void> {
    const garbage = this.#garbage;
    this.#garbage = undefined;
    if (garbage !== undefined && garbage.sweepChains !== "") {
      await this.#keepCounts(garbage.sweepChains, signal);
      this.#kernel = undefined;
      await this.#netfilter.restoreRules(this.family, garbage.sweepChains, signal);
      // nftables lets go of a dead chain's sets only some time later: they go with the next sweep.
      this.#kernel = garbage.unchained;
    } else if (garbage !== undefined && garbage.sweepSets !== "") {
      this.#kernel = undefined;
      await this.#netfilter.restoreSets(garbage.sweepSets, signal);
      this.#kernel = garbage.swept;
    }
    await this.#nameState(signal);
    this.#records.gone.forget((address, stop) => this.#netfilter.forgetAddress(this.family, address, stop), signal);
  }

  /** Looks how many packets met their end in our chains. @throws NetfilterError */
  async count(signal: AbortSignal): Promise<void> {
    await this.#records.packets.look(() => this.#netfilter.reached(this.family, signal));
  }

  async #run(steps: Plan, signal: AbortSignal): Promise<void> {
    // Forgotten before the first write: a failure leaves an unknown part in force.
    this.#kernel = undefined;
    this.#garbage = undefined;
    if (!inForce(steps)) this.#checked.forget();
    const counted = this.#keepCounts(steps.rules + steps.generation, signal);
    if (steps.fill !== "") await this.#netfilter.restoreSets(steps.fill, signal);
    await counted;
    // The tool is asked once where nothing has to come in between.
    const [first, second] = steps.drain === "" ? [steps.rules + steps.generation, ""] : [steps.rules, steps.generation];
    if (first !== "") await this.#netfilter.restoreRules(this.family, first, signal);
    if (steps.drain !== "") await this.#netfilter.restoreSets(steps.drain, signal);
    if (second !== "") await this.#netfilter.restoreRules(this.family, second, signal);
    this.#kernel = steps.applied;
    this.#garbage = steps;
  }

  /** Takes what the kernel has counted before these rules make it forget that, if that does not take long. */
  async #keepCounts(rules: string, signal: AbortSignal): Promise<void> {
    if (!losesCounts(rules)) return;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(COUNTED_MS)]);
    const late = new Promise<void>((resolve) => limit.addEventListener("abort", () => resolve(), { once: true }));
    // No change waits for a counter that cannot be read: whoever asks for it is told why.
    await Promise.race([this.count(limit).catch(() => undefined), late]);
  }

  /** Where no mark says which generation judged a connection, those that are denied now are looked up and forgotten. */
  async #cutTracked(state: NodeState, moved: readonly string[], signal: AbortSignal): Promise<void> {
    const { mask, options, ownAddresses } = this.#plan;
    if (mask !== 0) return;
    // They were another pod's, even where the new one may keep what it has.
    for (const address of moved) await this.#netfilter.forgetAddress(this.family, address, signal);
    if (options.establishedFlows === "Keep") return;
    const flows = await this.#netfilter.flows(this.family, signal);
    const denied = flows.filter((flow) => {
      const hooked = !ownAddresses.has(flow.server) || options.nodeTraffic === "Enforce";
      return hooked && !ownAddresses.has(flow.source) && !allowsFlow(state, flow);
    });
    await this.#netfilter.forget(this.family, denied, signal);
  }

  /**
   * Were the kernel to name an older, narrower state, then a change back to it that is cut short before its generation
   * would look finished to the next start.
   */
  async #nameState(signal: AbortSignal): Promise<void> {
    if (this.#unnamed === undefined || this.#kernel === undefined || this.#marks === undefined) return;
    // Until the leavers are cut, what stands is more than the state allows.
    if (this.#leaversDue !== undefined) return;
    const { meant, ruleset } = this.#unnamed;
    const marks = { ...this.#marks, ...this.#name(this.#names.nameOf(meant)) };
    const { rules, applied } = plan(this.#kernel, ruleset, marks, marks);
    this.#kernel = undefined;
    if (rules !== "") await this.#netfilter.restoreRules(this.family, rules, signal);
    this.#kernel = applied;
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

/** The ruleset in the order and with the names that the kernel has, or is to have. */
function asHeld(current: KernelState, meant: Ruleset, marks: Marks): Ruleset {
  return withVersions(current, inKernelOrder(current, meant, marks), (each) => chainsOf(each, marks));
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
