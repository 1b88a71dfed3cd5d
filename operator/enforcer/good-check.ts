import type { NodeState } from "../api/node-state.ts";
import type { FamilyApplied } from "./family-firewall.ts";
import type { Layout } from "./layout/layout.ts";
import type { MemberView } from "./netfilter/netfilter.ts";

/** To list so many members at each check costs less than to ask how many there are. */
const FEW_MEMBERS = 2_000;
/** At the default period: a minute. */
const MOST_LOOKS = 12;

/**
 * The last check of a family that found the kernel as it should be. As long as its outline stays the same, so does what
 * the check has found. An outline of large sets has the number of their members alone: one put in for another shows at
 * the next thorough look, which is the rarer the more members there are.
 */
export class GoodCheck {
  #last: (Checked & { readonly view: MemberView }) | undefined;
  #looks = 0;
  #members = 0;

  /** What the next outline is to hold of the members. */
  get view(): MemberView {
    return this.#members <= FEW_MEMBERS ? "listed" : "counted";
  }

  /** @param members of all sets together */
  keep(checked: Checked, members: number): void {
    this.#last = { ...checked, view: this.view };
    this.#looks = 0;
    this.#members = members;
  }

  forget(): void {
    this.#last = undefined;
  }

  /** What the last good check has found, if that still holds. */
  stillGood(state: NodeState, layout: Layout, outline: string): FamilyApplied | undefined {
    const last = this.#last;
    if (last === undefined || last.state !== state || last.layout !== layout || last.outline !== outline) return undefined;
    this.#looks += 1;
    const most = Math.min(MOST_LOOKS, Math.ceil(this.#members / FEW_MEMBERS));
    return last.view === "listed" || this.#looks < most ? last.applied : undefined;
  }
}

interface Checked {
  readonly state: NodeState;
  readonly layout: Layout;
  /** Of the kernel, taken before it was read. */
  readonly outline: string;
  readonly applied: FamilyApplied;
}
