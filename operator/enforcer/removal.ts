import type { Clock } from "./clock.ts";
import { eachInTurn } from "./failures.ts";
import type { Family } from "./layout/family.ts";
import { FAMILIES } from "./layout/family.ts";
import type { Netfilter } from "./netfilter/netfilter.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";
import { removalText } from "./render/chain-text.ts";

/** What is taken out, and how. */
export interface Traces {
  /** One for each backend. */
  readonly tables: readonly Netfilter[];
  /** Names of our sets, of both families. @throws NetfilterError */
  sets(signal: AbortSignal): Promise<readonly string[]>;
  readonly clock: Clock;
}

/** How much there was of ours. */
export interface Removed {
  readonly chains: number;
  readonly sets: number;
}

/** nftables lets go of the sets of a dead chain only some time later. */
const SETS_MS = 10_000;
const AGAIN_MS = 20;

/**
 * Takes all of ours out of the kernel, and nothing else. The jumps go first: from then on no packet is ours to drop.
 * What is not there is not missed. @throws NetfilterError if something of ours stays or may stay, once all else is gone
 */
export async function removeOurs(traces: Traces, signal: AbortSignal): Promise<Removed> {
  const chains = await removeChains(traces.tables, signal);
  // After them: rules that stay would hold them.
  return { chains, sets: await removeSets(traces, signal) };
}

/** Those of both families. @returns how many there were @throws NetfilterError as `removeOurs` */
export async function removeChains(tables: readonly Netfilter[], signal: AbortSignal): Promise<number> {
  let chains = 0;
  await eachInTurn(tables.flatMap((netfilter) => FAMILIES.map((family) => async () => {
    chains += await removeFrom(netfilter, family, signal);
  })));
  return chains;
}

async function removeFrom(netfilter: Netfilter, family: Family, signal: AbortSignal): Promise<number> {
  const { chains, hooks } = await netfilter.leftovers(family, signal);
  const jumps = removalText({ chains: new Map(), hooks });
  if (jumps !== "") await netfilter.restoreRules(family, jumps, signal);
  const rest = removalText({ chains, hooks: new Map() });
  if (rest !== "") await netfilter.restoreRules(family, rest, signal);
  return chains.size;
}

async function removeSets({ tables: [netfilter], sets, clock }: Traces, signal: AbortSignal): Promise<number> {
  const names = await sets(signal);
  const end = clock.monotonic() + SETS_MS;
  for (let left = names; left.length > 0; left = await sets(signal)) {
    try {
      await netfilter?.restoreSets(left.map((name) => `destroy ${name}\n`).join(""), signal);
    } catch (error) {
      if (!(error instanceof NetfilterError) || signal.aborted || clock.monotonic() > end) throw error;
      await clock.sleep(AGAIN_MS, signal);
    }
  }
  return names.length;
}
