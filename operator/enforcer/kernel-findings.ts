import type { NodeState } from "../api/node-state.ts";
import { hasFamily } from "./family-firewall.ts";
import type { Finding } from "./finding.ts";
import type { HostFacts } from "./host.ts";
import type { Family } from "./layout/family.ts";
import type { Extension } from "./layout/options.ts";

/** Something about the node's kernel or its tools, and on which nodes it has to be said. */
export interface KernelFinding {
  readonly finding: Finding;
  readonly matters: "always" | "with IPv6" | "on a bridge";
}

/** What there is to say where the kernel lacks something that a family's rules can do without. */
export function lackFindings(family: Family, lacks: ReadonlySet<Extension>): readonly KernelFinding[] {
  const names = [...lacks].filter((name) => name !== "log").toSorted().join(", ");
  const sctp = lacks.has("sctp") ? "; rules for single SCTP ports match nothing" : "";
  const message = `the kernel or its tools lack ${names}: the rules do without, and are slower${sctp}`;
  return [
    ...(lacks.has("log") ? [SILENT] : []),
    // In IPv6 a broadcast is a multicast, and that is told by its address.
    ...(family === "ipv4" && lacks.has("pkttype") ? [BROADCASTS] : []),
    ...(names === "" ? [] : [always({ reason: "KernelLacksExtensions", message, holds: true })]),
  ];
}

/** @param why the words of the tool that could make no rule */
export function ipv6NotEnforced(why: string): KernelFinding {
  const finding: Finding = { reason: "IPv6NotEnforced", message: `nothing is enforced on IPv6: ${why}`, holds: false };
  return { finding, matters: "with IPv6" };
}

export function connmarkInUse(bits: number): KernelFinding {
  const used = `others use the bits 0x${bits.toString(16)} of the connection mark and leave none for ours`;
  return always({ reason: "ConnmarkInUse", message: `${used}: ${WITHOUT_MARK}`, holds: true });
}

/** @param why the words of the tool that does not show others' rules */
export function connmarkUnknown(why: string): KernelFinding {
  const unknown = `it cannot be told who else uses the connection mark (${why})`;
  return always({ reason: "ConnmarkUnknown", message: `${unknown}: ${WITHOUT_MARK}`, holds: true });
}

/** What of them is to be said on this node. */
export function saidOn(
  findings: readonly KernelFinding[],
  state: NodeState,
  facts: HostFacts,
): readonly Finding[] {
  const said = findings.filter(({ matters }) => isSo(matters, state, facts)).map(({ finding }) => finding);
  // Both families may lack the same.
  return [...new Map(said.map((finding) => [finding.message, finding])).values()];
}

function isSo(where: KernelFinding["matters"], state: NodeState, { bridged, ipv6 }: HostFacts): boolean {
  switch (where) {
    case "always":
      return true;
    case "with IPv6":
      // Who has no other address of it has a link-local one, by which the pods of a bridge reach each other.
      return hasFamily(state, "ipv6") || (bridged && ipv6);
    case "on a bridge":
      return bridged;
  }
}

function always(finding: Finding): KernelFinding {
  return { finding, matters: "always" };
}

const WITHOUT_MARK = "connections that are cut are looked up one by one, which takes longer";

const SILENT = always({
  reason: "PacketsNotLogged",
  message: "the kernel or its tools lack NFLOG or limit: packets are counted, and not logged",
  holds: true,
});

const BROADCASTS: KernelFinding = {
  finding: {
    reason: "BroadcastsNotFiltered",
    message:
      "the kernel or its tools lack pkttype: what a pod sends to the broadcast address of its bridge's network " +
      "reaches isolated pods on the bridge",
    holds: false,
  },
  matters: "on a bridge",
};
