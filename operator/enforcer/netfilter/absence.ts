import { NetfilterError } from "./netfilter.ts";
import type { ToolOutput } from "./tool.ts";

/**
 * What tools say in a kernel that has nothing of what they speak to: nobody's rules can be there. Tried, with the calls
 * of the tools failing as such a kernel makes them fail; iptables-legacy shows nothing then, and does not fail.
 */
const NO_TABLES: readonly RegExp[] = [
  // iptables-nft: without nfnetlink, and without nf_tables behind it.
  /Failed to initialize nft: Protocol not supported/,
  /Could not fetch rule set generation id: Invalid argument/,
  // nft alike.
  /Unable to initialize Netlink socket: Protocol not supported/,
  /cache initialization failed: Invalid argument/,
];
const NO_SETS = /Cannot open session to kernel/;
const NOT_INSTALLED: ReadonlySet<string> = new Set(["IptablesMissing", "NftMissing"]);

/**
 * What a tool shows of rules; `""` where it is not installed or the kernel has none of what it would show. Any other
 * failure says nothing about what is there. @throws NetfilterError
 */
export async function rulesOf(asked: Promise<ToolOutput>): Promise<string> {
  return await shown(asked, ({ reason, message }) => {
    return NOT_INSTALLED.has(reason) || NO_TABLES.some((words) => words.test(message));
  });
}

/** What ipset shows; `""` in a kernel without sets, which holds none of ours. @throws NetfilterError */
export async function setsOf(asked: Promise<ToolOutput>): Promise<string> {
  return await shown(asked, ({ message }) => NO_SETS.test(message));
}

async function shown(asked: Promise<ToolOutput>, meansNothing: (error: NetfilterError) => boolean): Promise<string> {
  try {
    return (await asked).stdout;
  } catch (error) {
    if (error instanceof NetfilterError && meansNothing(error)) return "";
    throw error;
  }
}
