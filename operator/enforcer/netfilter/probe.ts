import type { Family } from "../layout/family.ts";
import { fieldText } from "../render/marks.ts";
import type { Netfilter } from "./netfilter.ts";
import { NetfilterError } from "./netfilter.ts";

const SCRATCH = "TW-PROBE";

/**
 * Tries every extension that our rules use in a chain that nothing jumps to.
 * @throws NetfilterError, reason `KernelUnsupported`, with the tool's words about what the kernel lacks.
 */
export async function probe(netfilter: Netfilter, family: Family, mask: number, signal: AbortSignal): Promise<void> {
  const mark = fieldText(1, mask);
  const rules = [
    `-A ${SCRATCH} -m connmark --mark ${mark} -j RETURN`,
    `-A ${SCRATCH} -m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN`,
    `-A ${SCRATCH} -p tcp -m tcp --dport 1:2 -m set --match-set ${SCRATCH} dst,dst -j RETURN`,
    `-A ${SCRATCH} -j CONNMARK --set-xmark ${mark}`,
  ];
  const inet = family === "ipv4" ? "inet" : "inet6";
  try {
    await netfilter.restoreSets(`create ${SCRATCH} hash:ip,port family ${inet}\n`, signal);
    await netfilter.restoreRules(family, transaction([`:${SCRATCH} - [0:0]`, ...rules]), signal);
    await netfilter.restoreRules(family, transaction([`-F ${SCRATCH}`, `-X ${SCRATCH}`]), signal);
  } catch (error) {
    if (!(error instanceof NetfilterError) || error.reason !== "ApplyFailed") throw error;
    throw new NetfilterError("KernelUnsupported", error.message, { cause: error });
  }
  // The set goes with the first sweep: the kernel lets go of it only some time after the chain.
}

function transaction(lines: readonly string[]): string {
  return ["*filter", ...lines, "COMMIT", ""].join("\n");
}
