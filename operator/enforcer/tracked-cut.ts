import { blockTest, parseAddress } from "../api/address.ts";
import type { NodeState } from "../api/node-state.ts";
import type { Family } from "./layout/family.ts";
import type { Flow } from "./layout/flow-verdict.ts";
import { allowsFlow } from "./layout/flow-verdict.ts";
import { isIsolated } from "./layout/layout.ts";
import type { LayoutOptions } from "./layout/options.ts";
import { LINK_LOCAL } from "./layout/wire-guard.ts";
import type { Netfilter } from "./netfilter/netfilter.ts";

export interface TrackedCut {
  readonly state: NodeState;
  /** Addresses that were another pod's. */
  readonly moved: readonly string[];
  readonly options: LayoutOptions;
  /** The node's own: what goes to or comes from them is hooked only in part. */
  readonly ownAddresses: ReadonlySet<string>;
}

/**
 * Makes connection tracking forget what is denied now, for rules whose marks do not say which generation judged a
 * connection: each has to be looked up. @throws NetfilterError
 */
export async function cutTracked(
  netfilter: Netfilter,
  family: Family,
  { state, moved, options, ownAddresses }: TrackedCut,
  signal: AbortSignal,
): Promise<void> {
  // They were another pod's, even where the new one may keep what it has.
  for (const address of moved) await netfilter.forgetAddress(family, address, signal);
  if (options.establishedFlows === "Keep") return;
  const around = options.bridged && state.pods.values().some(isIsolated);
  const flows = await netfilter.flows(family, signal);
  const denied = flows.filter((flow) => {
    const hooked = !ownAddresses.has(flow.server) || options.nodeTraffic === "Enforce";
    if (!hooked || ownAddresses.has(flow.source)) return false;
    return !allowsFlow(state, flow) || (around && isLinkLocal(flow));
  });
  await netfilter.forget(family, denied, signal);
  const answers = new Set(denied.filter(isUdp).map(({ source, sourcePort, server, serverPort }) => {
    return ends(server, serverPort, source, sourcePort);
  }));
  if (answers.size === 0) return;
  // What a server still answered has begun a flow of its own, whose replies the client's words would be from then on.
  const begun = (await netfilter.flows(family, signal)).filter((flow) => {
    return isUdp(flow) && answers.has(ends(flow.source, flow.sourcePort, flow.server, flow.serverPort));
  });
  await netfilter.forget(family, begun, signal);
}

function isUdp({ protocol }: Flow): boolean {
  return protocol === "UDP";
}

function ends(...either: readonly [string, number, string, number]): string {
  return either.join(" ");
}

/** Such connections from pod to pod cross a bridge alone, see `wireGuard`. */
function isLinkLocal({ source, server }: Flow): boolean {
  return [source, server].map(parseAddress).some((address) => address !== undefined && inLinkLocal?.(address) === true);
}

const inLinkLocal = blockTest({ cidr: LINK_LOCAL });
