import type { EnforcerSettings } from "../api/enforcer-settings.ts";
import type { LocalPod, NodeState } from "../api/node-state.ts";
import { capabilities } from "./capabilities.ts";
import type { Clock } from "./clock.ts";
import { closingFindings } from "./closing-findings.ts";
import { allDone, eachInTurn } from "./failures.ts";
import { FamilyFirewall, FamilyRecords } from "./family-firewall.ts";
import type { FamilyApplied, FamilyPlan } from "./family-firewall.ts";
import type { Finding } from "./finding.ts";
import { MemberViews } from "./good-check.ts";
import type { Host, HostFacts } from "./host.ts";
import { UNKNOWN_HOST } from "./host.ts";
import type { KernelFinding } from "./kernel-findings.ts";
import { saidOn } from "./kernel-findings.ts";
import { auditSubjects } from "./layout/audits.ts";
import type { Family } from "./layout/family.ts";
import { FAMILIES } from "./layout/family.ts";
import type { Extension, LayoutOptions } from "./layout/options.ts";
import { memoryOf } from "./layout/options.ts";
import type { MarkField } from "./mark-field.ts";
import { chooseField, isOutdated } from "./mark-field.ts";
import type { Backend, Netfilter } from "./netfilter/netfilter.ts";
import type { PacketCounts } from "./packet-counts.ts";
import { packetCounts } from "./packet-counts.ts";
import type { Removed } from "./removal.ts";
import { removeChains, removeOurs } from "./removal.ts";
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
  readonly #views = new MemberViews();
  #netfilter: Netfilter | undefined;
  #settings: NodeSettings | undefined;
  #families: readonly FamilyFirewall[] = [];
  #facts: HostFacts = UNKNOWN_HOST;
  readonly #records: Readonly<Record<Family, FamilyRecords>> = { ipv4: new FamilyRecords(), ipv6: new FamilyRecords() };
  /** The pods for which bridges were last looked for. */
  #looked: NodeState["pods"] | undefined;
  /** Known since `prepare`. */
  #findings: readonly KernelFinding[] = [];
  /** What `failClosed` leaves open with these pods. */
  #closing: { readonly pods: NodeState["pods"]; readonly findings: readonly Finding[] } | undefined;
  #field: MarkField | undefined;
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
    const field = await chooseField(netfilter, settings.connmarkMask, signal);
    const findings: KernelFinding[] = field.kind === "ours" ? [] : [field.finding];
    const judged = this.#families.length > 0 || (settings.failClosed && (await this.#othersJudge(netfilter, signal)));
    const families: FamilyFirewall[] = [];
    for (const family of FAMILIES) {
      const { lacks, findings: more } = await capabilities(netfilter, family, signal);
      findings.push(...more);
      if (lacks === undefined) continue;
      const options = layoutOptions(settings, lacks, field.bits === 0);
      const given: FamilyPlan = {
        options,
        mask: memoryOf(options) === "mark" ? field.bits : 0,
        ownAddresses: this.#facts.addresses,
        leaversMs: settings.leaversMs,
        monotonic: this.#options.monotonic,
      };
      const firewall = new FamilyFirewall(netfilter, family, given, this.#records[family]);
      await firewall.prepare(signal, judged);
      families.push(firewall);
    }
    this.#netfilter?.close();
    this.#netfilter = netfilter;
    this.#families = families;
    this.#settings = settings;
    this.#field = field;
    this.#looks = 0;
    this.#findings = findings;
    this.#otherIsSwept = false;
    this.#facts = UNKNOWN_HOST;
    this.#closing = undefined;
  }

  /** Whether an earlier run has left rules in the other backend that still judge packets. */
  async #othersJudge({ backend }: Netfilter, signal: AbortSignal): Promise<boolean> {
    return await this.#onOther(backend, async (other) => {
      const left = await Promise.all(FAMILIES.map((family) => other.leftovers(family, signal)));
      return standingOf(left.map(({ chains }) => ({ chains, name: undefined }))) !== "bare";
    });
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
    // The names of the other family's sets come with them, also where the kernel has no IPv6.
    const sets = async () => [...(await chosen.read("ipv4", signal)).sets.keys()];
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
    const act = (firewall: FamilyFirewall) => firewall.apply(state, signal);
    if (this.#facts === UNKNOWN_HOST) await this.#look(state);
    // Its first pod makes many a bridge. We look while the kernel takes the rules: most pods bring none.
    const [applied, bridges] = await allDone([this.#each(state, act), this.#bringsBridges(state)]);
    if (!bridges) return applied;
    await this.#look(state);
    const again = await this.#each(state, act);
    return { ...again, wrote: applied.wrote || again.wrote };
  }

  /** Whether pods that have come since the last look hang on a bridge. */
  async #bringsBridges({ pods }: NodeState): Promise<boolean> {
    const looked = this.#looked;
    if (pods === looked || this.#facts.bridged) return false;
    const fresh = pods.entries().filter(([uid, pod]) => looked?.get(uid) !== pod).map(([, pod]) => pod);
    const addresses = addressesOf(fresh);
    // Once the rules are on their way.
    await new Promise(setImmediate);
    const brings = addresses.size > 0 && (await this.#options.host.bridges(addresses));
    if (!brings) this.#looked = pods;
    return brings;
  }

  /** Looks at the node and the kernel and puts right what is not as `state` wants it. @throws NetfilterError */
  async verify(state: NodeState, signal: AbortSignal): Promise<Applied> {
    await this.#giveWay(signal);
    await this.#look(state);
    const view = this.#views.next(this.#families.reduce((sum, { members }) => sum + members, 0));
    return await this.#each(state, (firewall) => firewall.verify(state, view, signal));
  }

  /** @throws NetfilterError */
  async counts(state: NodeState, signal: AbortSignal): Promise<PacketCounts> {
    await Promise.all(this.#families.map((firewall) => firewall.count(signal)));
    return packetCounts(FAMILIES.map((family) => this.#records[family].packets.totals), auditSubjects(state.pods.values()));
  }

  /** What was last wholly brought about is in force as far as anybody knows, also where a change has failed since. */
  get intact(): boolean {
    return this.#families.every(({ intact }) => intact);
  }

  /** Puts the skeleton back where somebody has taken it away: for when there is no state. @throws NetfilterError */
  async uphold(signal: AbortSignal): Promise<void> {
    await eachInTurn(this.#families.map((firewall) => () => firewall.prepare(signal)));
  }

  /** What may wait until a state is confirmed but not until the next one. @throws NetfilterError */
  async sweep(signal: AbortSignal): Promise<void> {
    const other = async (): Promise<void> => {
      if (!this.#otherIsSwept) await this.#onOther(this.backend, (table) => removeChains([table], signal));
      this.#otherIsSwept = true;
    };
    // First: rules over there hold sets that are of no use here any more.
    await eachInTurn([other, ...this.#families.map((firewall) => () => firewall.sweep(signal))]);
  }

  /** Leaves our field of the mark to who has begun to use it. */
  async #giveWay(signal: AbortSignal): Promise<void> {
    const [netfilter, settings, field] = [this.#netfilter, this.#settings, this.#field];
    if (netfilter === undefined || settings === undefined || field === undefined) return;
    this.#looks += 1;
    if (this.#looks < LOOKS_FOR_MARKS) return;
    if (await isOutdated(field, netfilter, signal)) await this.#prepareOn(netfilter, settings, signal);
    // Not before: whoever could not look looks again at once.
    this.#looks = 0;
  }

  async #look(state: NodeState): Promise<void> {
    this.#facts = await this.#options.host.look(addressesOf(state.pods.values()));
    this.#looked = state.pods;
    const { bridged, addresses } = this.#facts;
    for (const firewall of this.#families) firewall.adjust({ bridged, ownAddresses: addresses });
  }

  async #each(state: NodeState, act: (firewall: FamilyFirewall) => Promise<FamilyApplied>): Promise<Applied> {
    if (this.#settings === undefined) throw new Error("apply before prepare");
    const applied = await allDone(this.#families.map(act));
    const rules = { ipv4: 0, ipv6: 0 };
    for (const [index, { family }] of this.#families.entries()) rules[family] = applied[index]?.rules ?? 0;
    const due = applied.map(({ leaversDue }) => leaversDue).filter((at) => at !== undefined);
    return {
      wrote: applied.some(({ wrote }) => wrote),
      rules,
      sets: applied.reduce((sum, { sets }) => sum + sets, 0),
      findings: this.#findingsWith(state, this.#settings),
      leaversDue: due.length === 0 ? undefined : Math.min(...due),
    };
  }

  #findingsWith(state: NodeState, settings: NodeSettings): readonly Finding[] {
    const { pods } = state;
    // Most changes leave the pods as they are.
    if (this.#closing?.pods !== pods) this.#closing = { pods, findings: closingFindings(settings, pods) };
    return [...this.#facts.findings, ...saidOn(this.#findings, state, this.#facts), ...this.#closing.findings];
  }

  /** With both backends, the chosen one first. */
  async #onBoth<T>(act: (tables: readonly Netfilter[]) => Promise<T>): Promise<T> {
    const chosen = this.#netfilter;
    return await this.#onOther(this.backend, (other) => act(chosen === undefined ? [other] : [chosen, other]));
  }

  /** With the backend that is not this one, for as long as it takes. */
  async #onOther<T>(than: Backend, act: (other: Netfilter) => Promise<T>): Promise<T> {
    const other = this.#options.netfilter(than === "nft" ? "legacy" : "nft");
    try {
      return await act(other);
    } finally {
      other.close();
    }
  }
}

/** To list the rules of everybody is too dear for every look at the node. */
const LOOKS_FOR_MARKS = 12;

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
