import type { Family } from "../../../operator/enforcer/layout/family.ts";
import type { Extension } from "../../../operator/enforcer/layout/options.ts";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { LackingNetfilter } from "./lacking-netfilter.ts";

/** A write of one change, in the order in which the enforcer makes them. A change need not have all of them. */
export type Step = "fill" | "rules" | "drain" | "generation" | "sweep chains" | "name" | "sweep sets";

/** When this process is to die. */
export class Doom {
  #after: Step | undefined;
  #last: Step | undefined;

  /** The next change is the one that counts. Only one family of it may have something to write. */
  seal(after: Step): void {
    this.#after = after;
    this.#last = undefined;
  }

  /** A write is in force. */
  wrote(tool: "ipset" | "iptables", text: string): void {
    if (this.#after === undefined) return;
    this.#last = tool === "ipset" ? setStep(text) : this.#ruleStep(text);
    if (this.#last === this.#after) process.kill(process.pid, "SIGKILL");
  }

  #ruleStep(text: string): Step {
    if (/^-X /m.test(text)) return "sweep chains";
    if (this.#last === undefined || this.#last === "fill") return "rules";
    return this.#last === "drain" ? "generation" : "name";
  }
}

function setStep(text: string): Step {
  if (/^destroy /m.test(text)) return "sweep sets";
  return /^del /m.test(text) ? "drain" : "fill";
}

/** The kernel of this machine, under the hands of somebody who may die after any of the writes. */
export class MortalNetfilter extends LackingNetfilter {
  readonly #doom: Doom;

  constructor(backend: Backend, lacks: readonly Extension[], doom: Doom) {
    super(backend, lacks);
    this.#doom = doom;
  }

  override async restoreSets(text: string, signal: AbortSignal): Promise<void> {
    await super.restoreSets(text, signal);
    this.#doom.wrote("ipset", text);
  }

  override async restoreRules(family: Family, text: string, signal: AbortSignal): Promise<void> {
    await super.restoreRules(family, text, signal);
    this.#doom.wrote("iptables", text);
  }
}
