import type { Family } from "../layout/family.ts";
import { FAMILIES } from "../layout/family.ts";
import type { Flow, TrackedFlow } from "../layout/flow-verdict.ts";
import type { KernelState } from "../render/kernel-state.ts";
import { rulesOf, setsOf } from "./absence.ts";
import { parseFlows } from "./conntrack-parser.ts";
import { iptablesProgram, RESTORE } from "./iptables.ts";
import { foreignMarkBits } from "./mark-bits.ts";
import { digest, LastLook } from "./last-look.ts";
import type { Backend, MemberView, Netfilter } from "./netfilter.ts";
import { NetfilterError } from "./netfilter.ts";
import { ALL_BITS, hasOpaqueMarks, nftMarkBits } from "./nft-mark-bits.ts";
import {
  hiddenTables, outlineOfRules, outlineOfSets, parseReached, parseRules, parseSets, rulesWithin,
} from "./save-parser.ts";
import { SetSizes } from "./set-sizes.ts";
import { Shells } from "./shells.ts";
import type { Tool, ToolOutput } from "./tool.ts";
import { askTool, runTool } from "./tool.ts";

const IPSET: Tool = { program: "ipset", missing: "IpsetMissing" };
const CONNTRACK: Tool = { program: "conntrack", missing: "ConntrackMissing" };
const NFT: Tool = { program: "nft", missing: "NftMissing" };
/** Connections end all the time; one that ends under the hand of conntrack makes it give up. */
const MOST_TRIES = 20;
/** At the default period, ten minutes of both families: what made it fail may have been one bad moment. */
const LOOKS_APART = 240;
/** Between what the tools of a survey print: no rule or set looks so. */
const SEAM = "# and then";
/** One that takes longer is asked once more with the others, each by itself: that tells which one hangs. */
const SURVEY_MS = 10_000;
const BACKENDS: readonly Backend[] = ["nft", "legacy"];

interface Look {
  readonly rules: Buffer;
  readonly sets: Buffer;
}

/** The kernel by its own tools, a process a request, in the network namespace of this process. */
export class CommandNetfilter implements Netfilter {
  readonly backend: Backend;
  readonly #asked = new Map<string, Promise<unknown>>();
  readonly #shells = new Shells();
  readonly #sizes = new SetSizes();
  readonly #rules: Readonly<Record<Family, LastLook<string>>> = { ipv4: new LastLook(), ipv6: new LastLook() };
  readonly #sets = new LastLook<string>();
  readonly #markBits = new LastLook<number>();
  /** So many looks are taken family by family before both are looked at together again: a node may lack one. */
  #apart = 0;

  constructor(backend: Backend) {
    this.backend = backend;
  }

  async read(family: Family, signal: AbortSignal): Promise<KernelState> {
    const [rules, sets] = await Promise.all([this.#saveRules(family, signal), this.#askSets(["save"], signal)]);
    return { ...parseRules(rules), sets: parseSets(sets, family) };
  }

  async outline(family: Family, members: MemberView, signal: AbortSignal): Promise<string> {
    const { rules, sets } = await this.#look(family, members, signal);
    const ofRules = this.#rules[family].of(rulesWithin(rules), (saved) => digest(outlineOfRules(saved)));
    const ofSets = members === "listed" ? digest(sets) : this.#sets.of(sets, (listed) => digest(outlineOfSets(listed)));
    return `${ofRules} ${ofSets}`;
  }

  async #look(family: Family, members: MemberView, signal: AbortSignal): Promise<Look> {
    const together = this.#apart === 0;
    if (together) {
      try {
        const { [family]: rules, sets } = await this.#survey(members, signal);
        return { rules, sets };
      } catch (error) {
        if (!(error instanceof NetfilterError) || signal.aborted) throw error;
      }
    }
    // By itself each says what is wrong; where nothing is, it was the other family.
    const ask = members === "listed" ? ["save"] : ["list", "-t"];
    const [rules, sets] = await Promise.all([this.#saveRules(family, signal), this.#askSets(ask, signal)]);
    this.#apart = together ? LOOKS_APART : this.#apart - 1;
    return { rules: Buffer.from(rules), sets: Buffer.from(sets) };
  }

  /** What checks of both families look at, in one go: to wake up costs us as much as what there is to do. */
  async #survey(members: MemberView, signal: AbortSignal): Promise<Readonly<Record<Family | "sets", Buffer>>> {
    return await this.#once(`survey ${members}`, async () => {
      const counted = members === "counted" ? this.#sizes.list(signal) : "";
      const saves = FAMILIES.map((family) => `${this.#iptables(family, "save", this.backend).program} -t filter`);
      const tools = members === "counted" ? saves : [...saves, "ipset save"];
      const script = tools.join(` && echo "${SEAM}" && `);
      const [{ status, stdout }, sizes] = await Promise.all([this.#shells.run(script, signal, SURVEY_MS), counted]);
      if (status !== 0) throw new NetfilterError("ApplyFailed", `${script}: exit status ${status}`);
      const [ipv4, ipv6, saved] = parts(stdout);
      return { ipv4, ipv6, sets: members === "counted" ? Buffer.from(sizes) : saved };
    });
  }

  async #saveRules(family: Family, signal: AbortSignal): Promise<string> {
    const save = this.#iptables(family, "save", this.backend);
    const { stdout } = await this.#ask(save, ["-t", "filter"], signal);
    return withFilter(save, stdout);
  }

  /** The sets of both families come together. */
  #askSets(ask: readonly string[], signal: AbortSignal): Promise<string> {
    return this.#once(ask.join(" "), () => setsOf(this.#ask(IPSET, ask, signal)));
  }

  /** Who asks in the same moment gets the same answer. @param key always of answers of the same kind */
  #once<Answer>(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const asked = (this.#asked.get(key) as Promise<Answer> | undefined) ?? ask();
    this.#asked.set(key, asked);
    queueMicrotask(() => this.#asked.delete(key));
    return asked;
  }

  #ask(tool: Tool, args: readonly string[], signal: AbortSignal): Promise<ToolOutput> {
    return askTool(this.#shells, tool, args, signal);
  }

  async leftovers(family: Family, signal: AbortSignal): Promise<Pick<KernelState, "chains" | "hooks">> {
    // Without `-t` iptables shows the tables that are there, and loads none.
    const save = this.#iptables(family, "save", this.backend);
    return parseRules(withFilter(save, await rulesOf(this.#ask(save, [], signal))));
  }

  async reached(family: Family, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const { stdout } = await this.#ask(this.#iptables(family, "save", this.backend), ["-c", "-t", "filter"], signal);
    return parseReached(stdout);
  }

  async restoreSets(text: string, signal: AbortSignal): Promise<void> {
    await runTool(IPSET, ["restore", "-exist"], text, signal);
  }

  async restoreRules(family: Family, text: string, signal: AbortSignal): Promise<void> {
    await runTool(this.#iptables(family, "restore", this.backend), RESTORE, text, signal);
  }

  async foreignMarkBits(signal: AbortSignal): Promise<number> {
    const saves = FAMILIES.flatMap((family) => BACKENDS.map((backend) => this.#iptables(family, "save", backend)));
    // One after the other: each beside another would need a shell of its own. Without counters, which change all the time.
    const native = await rulesOf(this.#ask(NFT, ["-s", "list", "ruleset"], signal));
    const saved: string[] = [];
    for (const save of saves) saved.push(await rulesOf(this.#ask(save, [], signal)));
    // What iptables does not show nft does, except for what only iptables can read.
    const hidden = saved.some((rules) => hiddenTables(rules).size > 0);
    if (hidden && (native === "" || hasOpaqueMarks(native))) return ALL_BITS;
    const bits = saved.map((rules) => foreignMarkBits(rules));
    return [this.#markBits.of(native, nftMarkBits), ...bits].reduce((all, each) => (all | each) >>> 0, 0);
  }

  async connectionHolds(family: Family, mark: string, signal: AbortSignal): Promise<boolean> {
    const { stdout } = await this.#ask(CONNTRACK, ["-L", "-f", family, "-m", mark], signal);
    return stdout.trim() !== "";
  }

  async flows(family: Family, signal: AbortSignal): Promise<readonly TrackedFlow[]> {
    const { stdout } = await this.#ask(CONNTRACK, ["-L", "-f", family], signal);
    return parseFlows(stdout);
  }

  async forget(family: Family, flows: readonly Flow[], signal: AbortSignal): Promise<void> {
    const icmp = family === "ipv4" ? "icmp" : "icmpv6";
    // What is denied is denied from every source port: one look at all connections deletes them together.
    const kinds = flows.map(({ protocol, source, server, serverPort }) => {
      const kind = ["-p", protocol === "ICMP" ? icmp : protocol.toLowerCase(), "-s", source, "-r", server];
      return protocol === "ICMP" ? kind : [...kind, "--reply-port-src", String(serverPort)];
    });
    const distinct = new Map(kinds.map((kind) => [kind.join(" "), kind]));
    for (const kind of distinct.values()) await this.#delete(["-f", family, ...kind], signal);
  }

  async forgetAddress(family: Family, address: string, signal: AbortSignal): Promise<void> {
    // Behind destination NAT a server shows only as the source of the replies.
    for (const side of ["-s", "-d", "-r"]) await this.#delete(["-f", family, side, address], signal);
  }

  close(): void {
    this.#shells.close();
    this.#sizes.close();
  }

  async #delete(which: readonly string[], signal: AbortSignal): Promise<void> {
    for (let tried = 1; ; tried += 1) {
      try {
        await this.#ask(CONNTRACK, ["-D", ...which], signal);
        return;
      } catch (error) {
        if (!(error instanceof NetfilterError)) throw error;
        // It says with the exit status that it found none.
        if (error.message.includes("0 flow entries")) return;
        // One of them ended by itself meanwhile, and there it stopped: the others are still to be deleted.
        if (!error.message.includes("doesn't exist") || tried === MOST_TRIES) throw error;
      }
    }
  }

  #iptables(family: Family, verb: "save" | "restore", backend: Backend): Tool {
    return { program: iptablesProgram(family, backend, verb), missing: "IptablesMissing" };
  }
}

/** What three tools have printed, or two. */
function parts(printed: Buffer): readonly [Buffer, Buffer, Buffer] {
  const first = endOfPart(printed, 0);
  const second = endOfPart(printed, first + AFTER_SEAM);
  return [
    printed.subarray(0, first),
    printed.subarray(first + AFTER_SEAM, second),
    printed.subarray(second + AFTER_SEAM),
  ];
}

function endOfPart(printed: Buffer, start: number): number {
  const at = printed.indexOf(`${SEAM}\n`, start);
  return at === -1 ? printed.length : at;
}

const AFTER_SEAM = SEAM.length + 1;

/** @throws NetfilterError where the rules of the filter table are hidden from us */
function withFilter({ program }: Tool, saved: string): string {
  const words = hiddenTables(saved).get("filter");
  if (words !== undefined) throw new NetfilterError("ApplyFailed", `${program}: ${words}`);
  return saved;
}
