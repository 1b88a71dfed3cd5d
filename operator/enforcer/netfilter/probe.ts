import { setTimeout as sleep } from "node:timers/promises";
import type { Family } from "../layout/family.ts";
import type { Extension } from "../layout/options.ts";
import { EXTENSIONS } from "../layout/options.ts";
import type { SetName } from "../layout/rule.ts";
import type { AddressSet, SetType } from "../layout/ruleset.ts";
import { removalText } from "../render/chain-text.ts";
import { sameAddressProgram } from "../render/same-address.ts";
import { addsText, createText } from "../render/set-text.ts";
import type { Netfilter } from "./netfilter.ts";
import { NetfilterError, NoAnswer } from "./netfilter.ts";

const SCRATCH = "TW-PROBE";
/** nftables lets go of a dead chain's sets only some time later. */
const DESTROY: { readonly tries: number; readonly waitMs: number } = { tries: 10, waitMs: 20 };

/** Lines that need an extension, one of each kind that our rules use. Those of sets name the family's own. */
const LINES: Readonly<Record<Exclude<Extension, "set">, readonly string[]>> = {
  connmark: [
    "-m connmark --mark 0x1/0xff -j RETURN",
    "-j CONNMARK --set-xmark 0x1/0xff",
    // Only rules with marks look at the status.
    "-m conntrack ! --ctstate RELATED,ESTABLISHED ! --ctstatus CONFIRMED -j RETURN",
  ],
  comment: ["-m comment --comment probe -j RETURN"],
  bpf: [`-m bpf --bytecode "${sameAddressProgram("ipv6")}" -j RETURN`],
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
  "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j DROP",
  `-g ${SCRATCH}-2`,
];
/** Discovery is let through by it. */
const ESSENTIAL_IPV6 = "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j RETURN";

/** Each kind of set is a kernel module of its own, and so is what looks them up. */
const LOOKED_UP: Readonly<Record<SetType, string>> = { "hash:ip": "src", "hash:ip,port": "dst,dst", "hash:net": "src" };

/**
 * Tries every extension that our rules use in a chain that nothing jumps to, and tells which of those are missing that
 * the rules can do without.
 * @throws NetfilterError, reason `KernelUnsupported`, with the tool's words about what the kernel cannot lack; another
 * one where it could not be tried
 */
export async function probe(
  netfilter: Netfilter,
  family: Family,
  signal: AbortSignal,
): Promise<ReadonlySet<Extension>> {
  const sets = scratchSets(family);
  const text = [...sets.map(createText), ...sets.map((set) => addsText(set, undefined))].join("");
  const hasSets = (await works(() => netfilter.restoreSets(text, signal))) === undefined;
  try {
    return await missing(netfilter, family, hasSets ? sets : [], signal);
  } finally {
    // Some may have been made before one was refused.
    for (const { name } of sets) await destroy(netfilter, name, hasSets ? DESTROY.tries : 1, signal);
  }
}

/** One of each kind, with a member where that takes more than the kind itself. */
function scratchSets(family: Family): readonly AddressSet[] {
  const exception = family === "ipv4" ? "192.0.2.0/24 nomatch" : "2001:db8::/32 nomatch";
  const set = (label: string, type: SetType, ...members: readonly string[]): AddressSet => {
    return { name: `${SCRATCH}-${family}-${label}` as SetName, type, family, members: new Set(members) };
  };
  return [set("ip", "hash:ip"), set("port", "hash:ip,port"), set("net", "hash:net", exception)];
}

async function missing(
  netfilter: Netfilter,
  family: Family,
  sets: readonly AddressSet[],
  signal: AbortSignal,
): Promise<ReadonlySet<Extension>> {
  const tryLines = (lines: readonly string[]) => works(() => tryOut(netfilter, family, lines, signal));
  const essential = family === "ipv6" ? [...ESSENTIAL, ESSENTIAL_IPV6] : ESSENTIAL;
  const lookups = sets.map(({ name, type }) => {
    return `-p tcp -m tcp --dport 1:2 -m set --match-set ${name} ${LOOKED_UP[type]} -j RETURN`;
  });
  const lines = (extension: Extension) => (extension === "set" ? lookups : LINES[extension]);
  const possible = EXTENSIONS.filter((extension) => lines(extension).length > 0);
  const all = [...essential, ...possible.flatMap(lines)];
  if ((await tryLines(all)) === undefined) return new Set(EXTENSIONS.filter((each) => !possible.includes(each)));
  const failure = await tryLines(essential);
  if (failure !== undefined) throw new NetfilterError("KernelUnsupported", failure.message, { cause: failure });
  const lacks = new Set<Extension>();
  for (const extension of EXTENSIONS) {
    if (!possible.includes(extension) || (await tryLines(lines(extension))) !== undefined) lacks.add(extension);
  }
  return lacks;
}

async function destroy(netfilter: Netfilter, set: string, tries: number, signal: AbortSignal): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    // What stays is taken by the first sweep.
    if ((await works(() => netfilter.restoreSets(`destroy ${set}\n`, signal))) === undefined || tried === tries) return;
    await sleep(DESTROY.waitMs);
  }
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

/** The error if the kernel refused; others are thrown: they tell nothing about what it can do. */
async function works(attempt: () => Promise<void>): Promise<NetfilterError | undefined> {
  try {
    await attempt();
    return undefined;
  } catch (error) {
    const refused = error instanceof NetfilterError && error.reason === "ApplyFailed" && !(error instanceof NoAnswer);
    if (refused) return error;
    throw error;
  }
}
