import { SYSTEM_CLOCK } from "./clock.ts";
import { removeDiskCopy } from "./disk-copy.ts";
import { PREFIX } from "./layout/ruleset.ts";
import { setsOf } from "./netfilter/absence.ts";
import { CommandNetfilter } from "./netfilter/command-netfilter.ts";
import { runTool } from "./netfilter/tool.ts";
import { diskCopyPath } from "./node-memory.ts";
import { removeOurs } from "./removal.ts";

/**
 * `enforcer cleanup`: takes all of ours out of the node it runs on, by hand, when no operator is there to ask for it.
 * To be run in the node's network namespace. @returns what was removed, a line. @throws Error if something stays
 */
export async function cleanUp(stateDirectory: string, signal: AbortSignal): Promise<string> {
  const traces = {
    tables: [new CommandNetfilter("nft"), new CommandNetfilter("legacy")],
    sets: ownSets,
    clock: SYSTEM_CLOCK,
  };
  const { chains, sets } = await removeOurs(traces, signal);
  const copy = stateDirectory !== "" && (await removeDiskCopy(diskCopyPath(stateDirectory)));
  return `removed ${chains} chains, ${sets} sets and ${copy ? "the" : "no"} disk copy`;
}

async function ownSets(signal: AbortSignal): Promise<readonly string[]> {
  const listed = await setsOf(runTool({ program: "ipset", missing: "IpsetMissing" }, ["list", "-name"], "", signal));
  return listed.split("\n").filter((name) => name.startsWith(PREFIX));
}
