import type { KernelFinding } from "./kernel-findings.ts";
import { ipv6NotEnforced, lackFindings } from "./kernel-findings.ts";
import type { Family } from "./layout/family.ts";
import type { Extension } from "./layout/options.ts";
import type { Netfilter } from "./netfilter/netfilter.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";
import { probe } from "./netfilter/probe.ts";

/** What the kernel can do for one family. */
export interface Capabilities {
  /** `undefined` = it has nothing of this family. */
  readonly lacks: ReadonlySet<Extension> | undefined;
  readonly findings: readonly KernelFinding[];
}

/** Tries it out. @throws NetfilterError where IPv4 cannot be enforced, or something went wrong */
export async function capabilities(netfilter: Netfilter, family: Family, signal: AbortSignal): Promise<Capabilities> {
  try {
    const lacks = await probe(netfilter, family, signal);
    return { lacks, findings: lackFindings(family, lacks) };
  } catch (error) {
    // Many a node has no IPv6, and needs none.
    if (family === "ipv4" || !(error instanceof NetfilterError) || error.reason !== "KernelUnsupported") throw error;
    return { lacks: undefined, findings: [ipv6NotEnforced(error.message)] };
  }
}
