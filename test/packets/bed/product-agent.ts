import type { EnforcerSettings } from "../../../operator/api/enforcer-settings.ts";
import { Agent } from "../../../operator/enforcer/agent.ts";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import { LinuxHost } from "../../../operator/enforcer/host.ts";
import type { Extension } from "../../../operator/enforcer/layout/options.ts";
import type { LineLogger } from "../../../operator/enforcer/line-logger.ts";
import { chooseBackend } from "../../../operator/enforcer/netfilter/backend-choice.ts";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { NodeFirewall } from "../../../operator/enforcer/node-firewall.ts";
import type { NodeReport } from "../../../operator/enforcer/node-report.ts";
import { type Doom, MortalNetfilter } from "./mortal-netfilter.ts";

/** What a bed says about the machine that the enforcer finds. */
export interface FirewallOptions {
  readonly backend: Backend;
  /** What the kernel is to lack. */
  readonly lacks?: readonly Extension[];
  /** Folders in which the enforcer finds its tools; absent = where we do. */
  readonly path?: string;
  /** What users set, beside what comes with each cluster. */
  readonly settings?: Partial<EnforcerSettings>;
  /** Work that takes longer is said to do so; absent = as it is for users. Milliseconds. */
  readonly stalledAfterMs?: number;
}

/** The enforcer's loop and firewall as the enforcer puts them together, without its stream and its SegmentNode. */
export function productAgent(
  { lacks = [], stalledAfterMs }: FirewallOptions, doom: Doom, report: (report: NodeReport) => void, log: LineLogger,
): Agent {
  const firewall = new NodeFirewall({
    netfilter: (backend) => new MortalNetfilter(backend, lacks, doom),
    chooseBackend,
    host: new LinuxHost(),
    monotonic: SYSTEM_CLOCK.monotonic,
  });
  return new Agent({
    firewall, report, log, clock: SYSTEM_CLOCK, random: Math.random, ...(stalledAfterMs !== undefined && { stalledAfterMs }),
  });
}
