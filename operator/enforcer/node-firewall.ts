import type { EnforcerSettings } from "../api/enforcer-settings.ts";
import type { LocalPod, NodeState } from "../api/node-state.ts";
import type { Clock } from "./clock.ts";
import { FamilyFirewall, hasFamily } from "./family-firewall.ts";
import type { FamilyApplied, FamilyPlan } from "./family-firewall.ts";
import type { Finding } from "./finding.ts";
import { viewOf } from "./good-check.ts";
import type { Host, HostFacts } from "./host.ts";
import { UNKNOWN_HOST } from "./host.ts";
import { auditSubjects } from "./layout/audits.ts";
import type { Family } from "./layout/family.ts";
import { FAMILIES } from "./layout/family.ts";
import type { Extension, LayoutOptions } from "./layout/options.ts";
import { memoryOf } from "./layout/options.ts";
import type { Backend, Netfilter } from "./netfilter/netfilter.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";
import { probe } from "./netfilter/probe.ts";
import type { PacketCounts } from "./packet-counts.ts";
import { NO_PACKETS, packetCounts } from "./packet-counts.ts";
import type { Removed } from "./removal.ts";
import { removeChains, removeOurs } from "./removal.ts";
import { FIELDS } from "./render/marks.ts";
import { kernelMarks } from "./render/plan.ts";
import type { Stand, Standing } from "./standing.ts";
import { standingOf } from "./standing.ts";

/** What `apply` did: whether anything had to be written, and how much of ours the kernel holds. */
export interface Applied {
  readonly wrote: boolean;
  readonly rules: Readonly<Record<Family, number>>;
  readonly sets: number;
  /** What is to be said about the node. */
  readonly findings: readonly Finding[];
  /** When `apply` wants to be called again to cut the connections of peers that have left; by the monotonic clock. */
  readonly leaversDue: number | undefined;
}

/** What an enforcer is told about its node before the first state. */
export interface NodeSettings extends EnforcerSettings {
  /** Networks from which the node's pods get their addresses; empty = not known. */
  readonly podCIDRs: readonly string[];
}

export interface NodeFirewallOptions {
  readonly netfilter: (backend: Backend) => Netfilter;
  readonly chooseBackend: (signal: AbortSignal) => Promise<Backend>;
  readonly host: Host;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
}

/** Keeps the kernel's tables of both families equal to a node's state, in one backend. One call at a time. */
export class NodeFirewall {
  readonly #options: NodeFirewallOptions;
  #netfilter: Netfilter | undefined;
  #settings: NodeSettings | undefined;
  #families: readonly FamilyFirewall[] = [];
  #facts: HostFacts = UNKNOWN_HOST;
  /** The pods for which bridges were last looked for. */
  #looked: NodeState["pods"] | undefined;
  /** Known since `prepare`. */
  #findings: readonly Finding[] = [];
  /** Our field of the connection mark; 0 = none. */
  #field = 0;
  /** Looks at the node since it was last looked who else uses connection marks. */
  #looks = 0;
  /** The other backend may still hold rules of ours, which must go once the chosen one enforces. */
  #otherIsSwept = false;

  constructor(options: NodeFirewallOptions) {
    this.#options = options;
  }

  /** The one that was chosen last. */
  get backend(): Backend {
    return this.#netfilter?.backend ?? "nft";
  }

  /**
   * Chooses backend and mark bits, tries what the kernel can do, and installs the skeleton where there is none. What an
   * earlier run left stays as it is. To be called again when settings change. @throws NetfilterError
   */
  async prepare(settings: NodeSettings, signal: AbortSignal): Promise<void> {
    const backend = settings.backend === "Auto" ? await this.#options.chooseBackend(signal) : settings.backend;
    const netfilter = this.#options.netfilter(backend);
    try {
      await this.#prepareOn(netfilter, settings, signal);
    } catch (error) {
      netfilter.close();
      throw error;
    }
  }

  async #prepareOn(netfilter: Netfilter, settings: NodeSettings, signal: AbortSignal): Promise<void> {
    const findings: Finding[] = [];
    const field = await this.#chooseField(netfilter, settings, findings, signal);
    const families: FamilyFirewall[] = [];
    for (const family of FAMILIES) {
      const lacks = await this.#capabilities(netfilter, family, findings, signal);
      if (lacks === undefined) continue;
      const options = layoutOptions(settings, lacks, field === undefined);
      if (settings.failClosed && settings.podCIDRs.length === 0) findings.push(CLOSING_REFUSED);
      const given: FamilyPlan = {
        options,
        mask: memoryOf(options) === "mark" ? (field ?? 0) : 0,
        ownAddresses: this.#facts.addresses,
        leaversMs: settings.leaversMs,
        monotonic: this.#options.monotonic,
      };
      const firewall = new FamilyFirewall(netfilter, family, given);
      await firewall.prepare(signal);
      families.push(firewall);
    }
    this.#netfilter?.close();
    this.#netfilter = netfilter;
    this.#families = families;
    this.#settings = settings;
    this.#field = field ?? 0;
    this.#looks = 0;
    this.#findings = distinct(findings);
    this.#otherIsSwept = false;
    this.#facts = UNKNOWN_HOST;
  }

  /** What the kernel holds beside `state`, which an earlier run had in force; after `prepare`. @throws NetfilterError */
  async standing(state: NodeState, signal: AbortSignal): Promise<Standing> {
    await this.#look(state);
    return await this.#onBoth(async (tables) => {
      const stands: Stand[] = [];
      for (const netfilter of tables) {
        for (const family of FAMILIES) {
          const own = netfilter === this.#netfilter ? this.#families.find((each) => each.family === family) : undefined;
          stands.push({ chains: (await netfilter.leftovers(family, signal)).chains, name: own?.nameOf(state) });
        }
      }
      return standingOf(stands);
    });
  }

  /** Takes all of ours out of both backends; `prepare` begins anew. @throws NetfilterError if something stays */
  async clear(clock: Clock, signal: AbortSignal): Promise<Removed> {
    this.#netfilter ??= this.#options.netfilter(await this.#options.chooseBackend(signal));
    const chosen = this.#netfilter;
    const sets = async () => {
      const held = await Promise.all(FAMILIES.map((family) => chosen.read(family, signal)));
      return held.flatMap(({ sets: ours }) => [...ours.keys()]);
    };
    this.#families = [];
    this.#settings = undefined;
    try {
      return await this.#onBoth((tables) => removeOurs({ tables, sets, clock }, signal));
    } finally {
      chosen.close();
    }
  }

  /**
   * Makes the kernel hold `state` in both families. When it returns, no connection passes that `state` denies, but for
   * what the findings say; connections that it allows were never cut. @throws NetfilterError
   */
  async apply(state: NodeState, signal: AbortSignal): Promise<Applied> {
    if (this.#facts === UNKNOWN_HOST) await this.#look(state);
    // Its first pod makes many a bridge.
    else if (!this.#facts.bridged && (await this.#bridgesNew(state))) await this.#look(state);
    this.#looked = state.pods;
    return await this.#each(state, (firewall) => firewall.apply(state, signal));
  }

  /** Whether pods that have come since the last look hang on a bridge. */
  async #bridgesNew({ pods }: NodeState): Promise<boolean> {
    const looked = this.#looked;
    if (pods === looked) return false;
    const fresh = pods.entries().filter(([uid, pod]) => looked?.get(uid) !== pod).map(([, pod]) => pod);
    const addresses = addressesOf(fresh);
    return addresses.size > 0 && (await this.#options.host.bridges(addresses));
  }

  /** Looks at the node and the kernel and puts right what is not as `state` wants it. @throws NetfilterError */
  async verify(state: NodeState, signal: AbortSignal): Promise<Applied> {
    await this.#giveWay(signal);
    await this.#look(state);
    const view = viewOf(this.#families.reduce((sum, { members }) => sum + members, 0));
    return await this.#each(state, (firewall) => firewall.verify(state, view, signal));
  }

  /** @throws NetfilterError */
  async counts(state: NodeState, signal: AbortSignal): Promise<PacketCounts> {
    const netfilter = this.#netfilter;
    if (netfilter === undefined) return NO_PACKETS;
    const reached = await Promise.all(this.#families.map(({ family }) => netfilter.reached(family, signal)));
    return packetCounts(reached, auditSubjects(state.pods.values()));
  }

  /** What may wait until a state is confirmed but not until the next one. @throws NetfilterError */
  async sweep(signal: AbortSignal): Promise<void> {
    // First: rules over there hold sets that are of no use here any more.
    if (!this.#otherIsSwept) await this.#sweepOther(signal);
    this.#otherIsSwept = true;
    for (const firewall of this.#families) await firewall.sweep(signal);
  }

  /** Somebody may have begun to use our field: what stands in it is no verdict of ours any more. */
  async #giveWay(signal: AbortSignal): Promise<void> {
    const [netfilter, settings] = [this.#netfilter, this.#settings];
    if (netfilter === undefined || settings === undefined || this.#field === 0) return;
    this.#looks += 1;
    if (this.#looks < LOOKS_FOR_MARKS) return;
    this.#looks = 0;
    const foreign = await netfilter.foreignMarkBits(signal);
    if ((foreign & this.#field) !== 0) await this.#prepareOn(netfilter, settings, signal);
  }

  async #look(state: NodeState): Promise<void> {
    this.#facts = await this.#options.host.look(addressesOf(state.pods.values()));
    const { bridged, addresses } = this.#facts;
    for (const firewall of this.#families) firewall.adjust({ bridged, ownAddresses: addresses });
  }

  async #each(state: NodeState, act: (firewall: FamilyFirewall) => Promise<FamilyApplied>): Promise<Applied> {
    if (this.#settings === undefined) throw new Error("apply before prepare");
    const outcomes = await Promise.allSettled(this.#families.map(act));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const applied = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    const rules = { ipv4: 0, ipv6: 0 };
    for (const [index, { family }] of this.#families.entries()) rules[family] = applied[index]?.rules ?? 0;
    const due = applied.map(({ leaversDue }) => leaversDue).filter((at) => at !== undefined);
    const findings = [...this.#facts.findings, ...this.#findings.filter((finding) => concerns(finding, state))];
    return {
      wrote: applied.some(({ wrote }) => wrote),
      rules,
      sets: applied.reduce((sum, { sets }) => sum + sets, 0),
      findings,
      leaversDue: due.length === 0 ? undefined : Math.min(...due),
    };
  }

  /** A field of the mark that nobody else uses; `undefined` = there is none, or not the one that was asked for. */
  async #chooseField(
    netfilter: Netfilter,
    { connmarkMask }: NodeSettings,
    findings: Finding[],
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const foreign = await netfilter.foreignMarkBits(signal);
    const free = (connmarkMask === 0 ? FIELDS : [connmarkMask]).filter((mask) => (mask & foreign) === 0);
    // What connections carry now goes on counting only in the field in which it stands.
    const standing = kernelMarks(await netfilter.leftovers("ipv4", signal))?.mask ?? 0;
    const field = free.includes(standing) ? standing : free[0];
    if (field === undefined) {
      const used = `0x${foreign.toString(16)}`;
      findings.push({
        reason: "ConnmarkInUse",
        message:
          `others use the bits ${used} of the connection mark and leave none for ours: ` +
          "connections that are cut are looked up one by one, which takes longer",
        holds: true,
      });
    }
    return field;
  }

  /** What the kernel lacks; `undefined` = it has nothing of this family. */
  async #capabilities(
    netfilter: Netfilter,
    family: Family,
    findings: Finding[],
    signal: AbortSignal,
  ): Promise<ReadonlySet<Extension> | undefined> {
    try {
      const lacks = await probe(netfilter, family, signal);
      findings.push(...lacking(lacks));
      return lacks;
    } catch (error) {
      // A node without IPv6 is no worse for it while no pod has such an address.
      if (family === "ipv4" || !(error instanceof NetfilterError) || error.reason !== "KernelUnsupported") throw error;
      findings.push({ reason: IPV6_MISSING, message: `nothing is enforced on IPv6: ${error.message}`, holds: false });
      return undefined;
    }
  }

  /** With both backends, the chosen one first. */
  async #onBoth<T>(act: (tables: readonly Netfilter[]) => Promise<T>): Promise<T> {
    const other = this.#options.netfilter(this.backend === "nft" ? "legacy" : "nft");
    try {
      return await act(this.#netfilter === undefined ? [other] : [this.#netfilter, other]);
    } finally {
      other.close();
    }
  }

  async #sweepOther(signal: AbortSignal): Promise<void> {
    const other = this.#options.netfilter(this.backend === "nft" ? "legacy" : "nft");
    try {
      for (const family of FAMILIES) await removeChains(other, family, signal);
    } finally {
      other.close();
    }
  }
}

/** To list the rules of everybody is too dear for every look at the node. */
const LOOKS_FOR_MARKS = 12;

const IPV6_MISSING = "IPv6NotEnforced";

const CLOSING_REFUSED: Finding = {
  reason: "FailClosedRefused",
  message:
    "failClosed needs the node's exact pod networks, and its Node names none in spec.podCIDRs: " +
    "a new pod is open until it is programmed",
  holds: true,
};

function addressesOf(pods: IteratorObject<LocalPod>): ReadonlySet<string> {
  return new Set(pods.flatMap(({ addresses }) => addresses));
}

function layoutOptions(settings: NodeSettings, lacks: ReadonlySet<Extension>, noField: boolean): LayoutOptions {
  return {
    nodeTraffic: settings.nodeTraffic,
    establishedFlows: settings.establishedFlows,
    closedNets: settings.failClosed ? settings.podCIDRs : [],
    bridged: false,
    logDrops: settings.logDrops,
    logPerSecond: settings.logPerSecond,
    lacks: noField ? new Set([...lacks, "connmark"] as const) : lacks,
  };
}

function lacking(lacks: ReadonlySet<Extension>): readonly Finding[] {
  const findings: Finding[] = [];
  if (lacks.has("log")) findings.push(SILENT);
  const names = [...lacks].filter((name) => name !== "log").toSorted().join(", ");
  if (names === "") return findings;
  const sctp = lacks.has("sctp") ? "; rules for single SCTP ports match nothing" : "";
  findings.push({
    reason: "KernelLacksExtensions",
    message: `the kernel or its tools lack ${names}: the rules do without, and are slower${sctp}`,
    holds: true,
  });
  return findings;
}

const SILENT: Finding = {
  reason: "PacketsNotLogged",
  message: "the kernel or its tools lack NFLOG or limit: packets are counted, and not logged",
  holds: true,
};

function concerns({ reason }: Finding, state: NodeState): boolean {
  return reason !== IPV6_MISSING || hasFamily(state, "ipv6");
}

function distinct(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [finding.message, finding])).values()];
}
