import type { NodeState } from "../api/node-state.ts";
import type { FamilyApplied } from "./family-firewall.ts";
import type { Layout } from "./layout/layout.ts";
import type { MemberView } from "./netfilter/netfilter.ts";

/** To list so many members at each check costs about as much as to ask how many there are. */
const FEW_MEMBERS = 2_000;
/** At the default period: a minute. */
const LOOKS = 12;

/** How checks look at sets. The kernel's tools list those of both families together. @param members of both */
export function viewOf(members: number): MemberView {
  return members <= FEW_MEMBERS ? "listed" : "counted";
}

/**
 * The last check of a family that found the kernel as it should be. As long as its outline stays the same, so does what
 * the check has found. An outline of large sets has the number of their members alone: one put in for another shows at
 * the next thorough look.
 */
export class GoodCheck {
  #last: Checked | undefined;
  #looks = 0;
  #members = 0;

  /** Of the family's sets, when they were last looked at. */
  get members(): number {
    return this.#members;
  }

  /** @param members of the family's sets together */
  keep(checked: Checked, members: number): void {
    this.#last = checked;
    this.#looks = 0;
    this.#members = members;
  }

  forget(): void {
    this.#last = undefined;
  }

  /** What the last good check has found, if that still holds. */
  stillGood({ state, layout, view, outline }: Omit<Checked, "applied">): FamilyApplied | undefined {
    const last = this.#last;
    if (last === undefined || last.state !== state || last.layout !== layout || last.view !== view) return undefined;
    if (last.outline !== outline) return undefined;
    this.#looks += 1;
    return view === "listed" || this.#members === 0 || this.#looks < LOOKS ? last.applied : undefined;
  }
}

interface Checked {
  readonly state: NodeState;
  readonly layout: Layout;
  readonly view: MemberView;
  /** Of the kernel, taken before it was read. */
  readonly outline: string;
  readonly applied: FamilyApplied;
}
