import { rulesOf } from "./absence.ts";
import type { Backend } from "./netfilter.ts";
import { runTool } from "./tool.ts";

/** Chains that a kubelet keeps in `mangle`, so that others can find out which iptables it uses. */
const OF_KUBELET = /^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY) /m;

/**
 * The iptables that the node's kubelet uses: packets should not have to pass two. `nft` where it left no trace.
 * @throws NetfilterError where one cannot be read: it may be the one
 */
export async function chooseBackend(signal: AbortSignal): Promise<Backend> {
  for (const backend of ["nft", "legacy"] as const) {
    const programs = [`iptables-${backend}-save`, `ip6tables-${backend}-save`];
    const saved = await Promise.all(programs.map((program) => rulesBy(program, signal)));
    if (saved.some((rules) => OF_KUBELET.test(rules))) return backend;
  }
  return "nft";
}

/** Without `-t` iptables shows the tables that are there and loads none: reading them must not make one. */
function rulesBy(program: string, signal: AbortSignal): Promise<string> {
  return rulesOf(runTool({ program, missing: "IptablesMissing" }, [], "", signal));
}
