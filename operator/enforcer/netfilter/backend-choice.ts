import type { Tool } from "./tool.ts";
import { runTool } from "./tool.ts";
import type { Backend } from "./netfilter.ts";
import { NetfilterError } from "./netfilter.ts";

/** Chains that a kubelet keeps in `mangle`, so that others can find out which iptables it uses. */
const OF_KUBELET = /^:KUBE-(?:IPTABLES-HINT|KUBELET-CANARY) /m;

/** The iptables that the node's kubelet uses: packets should not have to pass two. `nft` where it left no trace. */
export async function chooseBackend(signal: AbortSignal): Promise<Backend> {
  for (const backend of ["nft", "legacy"] as const) {
    const programs = [`iptables-${backend}-save`, `ip6tables-${backend}-save`];
    const saved = await Promise.all(programs.map((program) => mangleOf(program, signal)));
    if (saved.some((rules) => OF_KUBELET.test(rules))) return backend;
  }
  return "nft";
}

/** `""` where there is no such table: reading it must not make one. */
async function mangleOf(program: string, signal: AbortSignal): Promise<string> {
  const tool: Tool = { program, missing: "IptablesMissing" };
  try {
    // Without `-t` iptables shows the tables that are there and loads none.
    const { stdout } = await runTool(tool, [], "", signal);
    return stdout;
  } catch (error) {
    if (error instanceof NetfilterError) return "";
    throw error;
  }
}
