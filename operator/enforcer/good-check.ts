import type { NodeState } from "../api/node-state.ts";
import type { FamilyApplied } from "./family-firewall.ts";
import type { Layout } from "./layout/layout.ts";
import type { MemberView } from "./netfilter/netfilter.ts";

/** To list so many members at each check costs about as much as to ask how many there are. */
const FEW_MEMBERS = 2_000;
/** At the default period: less than a minute. */
const LOOKS = 12;

/**
 * How checks look at sets, one after the other. Of large sets most have the number of their members alone: one put in for
 * another shows at the next thorough look.
 */
export class MemberViews {
  #looks = 0;

  /** @param members of both families: the kernel's tools list them together */
  next(members: number): MemberView {
    if (members <= FEW_MEMBERS) return "listed";
    this.#looks += 1;
    return this.#looks % LOOKS === 0 ? "listed" : "counted";
  }
}

/**
 * The last checks of a family that found the kernel as it should be. As long as its outline stays the same, so does what
 * the check has found.
 */
export class GoodCheck {
  readonly #last = new Map<MemberView, Checked>();
  #members = 0;

  /** Of the family's sets, when they were last looked at. */
  get members(): number {
    return this.#members;
  }

  /** @param members of the family's sets together */
  keep(checked: Checked, members: number): void {
    this.#last.set(checked.view, checked);
    this.#members = members;
  }

  /** To be called before anything is written. */
  forget(): void {
    this.#last.clear();
  }

  /** What the last good check has found, if that still holds. */
  stillGood({ state, layout, view, outline }: Omit<Checked, "applied">): FamilyApplied | undefined {
    const last = this.#last.get(view);
    if (last === undefined || last.state !== state || last.layout !== layout) return undefined;
    return last.outline === outline ? last.applied : undefined;
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
