import { setTimeout as sleep } from "node:timers/promises";
import type { Family } from "../layout/family.ts";
import type { Extension } from "../layout/options.ts";
import { EXTENSIONS } from "../layout/options.ts";
import { removalText } from "../render/chain-text.ts";
import type { Netfilter } from "./netfilter.ts";
import { NetfilterError } from "./netfilter.ts";

const SCRATCH = "TW-PROBE";
/** nftables lets go of a dead chain's sets only some time later. */
const DESTROY: { readonly tries: number; readonly waitMs: number } = { tries: 10, waitMs: 20 };

/** Lines that need an extension, one of each kind that our rules use. */
const LINES: Readonly<Record<Extension, readonly string[]>> = {
  connmark: ["-m connmark --mark 0x1/0xff -j RETURN", "-j CONNMARK --set-xmark 0x1/0xff"],
  comment: ["-m comment --comment probe -j RETURN"],
  set: ["-p tcp -m tcp --dport 1:2 -m set --match-set SET dst,dst -j RETURN"],
  physdev: ["-m physdev --physdev-is-bridged -j DROP"],
  pkttype: ["-m pkttype --pkt-type broadcast -j DROP"],
  sctp: ["-p sctp -m sctp --dport 1 -j RETURN"],
  log: ["-m limit --limit 10/sec --limit-burst 10 -j NFLOG --nflog-prefix probe --nflog-group 9475 --nflog-size 128"],
};

/** What no layout can do without. */
const ESSENTIAL: readonly string[] = [
  "-m conntrack ! --ctstate NEW -j RETURN",
  "-m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN",
  "-p udp -m udp --dport 1:2 -j RETURN",
  `-g ${SCRATCH}-2`,
];

/**
 * Tries every extension that our rules use in a chain that nothing jumps to, and tells which of those are missing that
 * the rules can do without.
 * @throws NetfilterError, reason `KernelUnsupported`, with the tool's words about what the kernel cannot lack.
 */
export async function probe(
  netfilter: Netfilter,
  family: Family,
  signal: AbortSignal,
): Promise<ReadonlySet<Extension>> {
  const set = `${SCRATCH}-${family}`;
  const inet = family === "ipv4" ? "inet" : "inet6";
  // hash:net and hash:ip come with hash:ip,port: all of ipset or none.
  const sets = await works(() => netfilter.restoreSets(`create ${set} hash:ip,port family ${inet}\n`, signal));
  const lacks = await missing(netfilter, family, set, sets === undefined, signal);
  if (sets === undefined) await destroy(netfilter, set, signal);
  return lacks;
}

async function missing(
  netfilter: Netfilter,
  family: Family,
  set: string,
  hasSets: boolean,
  signal: AbortSignal,
): Promise<ReadonlySet<Extension>> {
  const tryLines = (lines: readonly string[]) => {
    return works(() => tryOut(netfilter, family, lines.map((line) => line.replace(" SET ", ` ${set} `)), signal));
  };
  const possible = EXTENSIONS.filter((extension) => extension !== "set" || hasSets);
  const all = [...ESSENTIAL, ...possible.flatMap((extension) => LINES[extension])];
  if ((await tryLines(all)) === undefined) return new Set(hasSets ? [] : ["set"]);
  const failure = await tryLines(ESSENTIAL);
  if (failure !== undefined) throw new NetfilterError("KernelUnsupported", failure.message, { cause: failure });
  const lacks = new Set<Extension>();
  for (const extension of EXTENSIONS) {
    if (!possible.includes(extension) || (await tryLines(LINES[extension])) !== undefined) lacks.add(extension);
  }
  return lacks;
}

async function destroy(netfilter: Netfilter, set: string, signal: AbortSignal): Promise<void> {
  for (let tried = 0; tried < DESTROY.tries; tried += 1) {
    if ((await works(() => netfilter.restoreSets(`destroy ${set}\n`, signal))) === undefined) return;
    await sleep(DESTROY.waitMs);
  }
  // The first sweep takes it.
}

async function tryOut(
  netfilter: Netfilter,
  family: Family,
  lines: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const chains = [SCRATCH, `${SCRATCH}-2`];
  const text = [...chains.map((chain) => `:${chain} - [0:0]`), ...lines.map((line) => `-A ${SCRATCH} ${line}`)];
  await netfilter.restoreRules(family, ["*filter", ...text, "COMMIT", ""].join("\n"), signal);
  const made = { chains: new Map(chains.map((chain) => [chain, []])), hooks: new Map() };
  await netfilter.restoreRules(family, removalText(made), signal);
}

/** The error if the kernel refused; other errors (a tool that is missing) are thrown. */
async function works(attempt: () => Promise<void>): Promise<NetfilterError | undefined> {
  try {
    await attempt();
    return undefined;
  } catch (error) {
    if (error instanceof NetfilterError && error.reason === "ApplyFailed") return error;
    throw error;
  }
}
