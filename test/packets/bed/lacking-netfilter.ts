import type { Family } from "../../../operator/enforcer/layout/family.ts";
import type { Extension } from "../../../operator/enforcer/layout/options.ts";
import { CommandNetfilter } from "../../../operator/enforcer/netfilter/command-netfilter.ts";
import { type Backend, NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { WarmNetfilter } from "../../../operator/enforcer/netfilter/warm-netfilter.ts";

const USES: Readonly<Record<Extension, RegExp>> = {
  connmark: /-m connmark|-j CONNMARK/,
  comment: /-m comment/,
  set: /-m set/,
  bpf: /-m bpf/,
  physdev: /-m physdev/,
  pkttype: /-m pkttype/,
  sctp: /-m sctp/,
  log: /-m limit|-j NFLOG/,
};

/** The kernel of this machine as if it had been built with less: what needs the rest is refused, as it would be. */
export class LackingNetfilter extends WarmNetfilter {
  readonly #lacks: readonly Extension[];

  constructor(backend: Backend, lacks: readonly Extension[]) {
    super(new CommandNetfilter(backend));
    this.#lacks = lacks;
  }

  override async restoreSets(text: string, signal: AbortSignal): Promise<void> {
    if (this.#lacks.includes("set")) throw new NetfilterError("ApplyFailed", "the kernel has no sets");
    await super.restoreSets(text, signal);
  }

  override async restoreRules(family: Family, text: string, signal: AbortSignal): Promise<void> {
    const used = this.#lacks.find((extension) => USES[extension].test(text));
    if (used !== undefined) throw new NetfilterError("ApplyFailed", `the kernel has no ${used}`);
    await super.restoreRules(family, text, signal);
  }
}
