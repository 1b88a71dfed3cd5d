import type { Family } from "../layout/family.ts";
import { FAMILIES } from "../layout/family.ts";
import type { Flow } from "../layout/flow-verdict.ts";
import type { KernelState } from "../render/kernel-state.ts";
import { rulesOf, setsOf } from "./absence.ts";
import { parseFlows } from "./conntrack-parser.ts";
import { iptablesProgram, RESTORE } from "./iptables.ts";
import { foreignMarkBits } from "./mark-bits.ts";
import type { Backend, MemberView, Netfilter } from "./netfilter.ts";
import { NetfilterError } from "./netfilter.ts";
import { ALL_BITS, hasOpaqueMarks, nftMarkBits } from "./nft-mark-bits.ts";
import { hiddenTables, outlineOfRules, outlineOfSets, parseReached, parseRules, parseSets } from "./save-parser.ts";
import { Shell } from "./shell.ts";
import type { Tool } from "./tool.ts";
import { runTool } from "./tool.ts";

const IPSET: Tool = { program: "ipset", missing: "IpsetMissing" };
const CONNTRACK: Tool = { program: "conntrack", missing: "ConntrackMissing" };
const NFT: Tool = { program: "nft", missing: "NftMissing" };
/** Connections end all the time; one that ends under the hand of conntrack makes it give up. */
const MOST_TRIES = 20;
/** At the default period, ten minutes of both families: what made it fail may have been one bad moment. */
const LOOKS_APART = 240;
/** Between what the tools of a survey print: no rule or set looks so. */
const SEAM = "# and then";
const BACKENDS: readonly Backend[] = ["nft", "legacy"];

interface Look {
  readonly rules: string;
  readonly sets: string;
}

/** The kernel by its own tools, a process a request but for surveys, in the network namespace of this process. */
export class CommandNetfilter implements Netfilter {
  readonly backend: Backend;
  readonly #asked = new Map<string, Promise<string>>();
  readonly #shell = new Shell();
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
    const { rules, sets } = await this.#look(family, members === "listed" ? ["save"] : ["list", "-t"], signal);
    return `${outlineOfRules(rules)}\n${members === "listed" ? sets : outlineOfSets(sets)}`;
  }

  async #look(family: Family, ask: readonly string[], signal: AbortSignal): Promise<Look> {
    const together = this.#apart === 0;
    if (together) {
      try {
        const { ipv4, ipv6, sets } = await this.#survey(ask, signal);
        return { rules: family === "ipv4" ? ipv4 : ipv6, sets };
      } catch (error) {
        if (!(error instanceof NetfilterError) || signal.aborted) throw error;
      }
    }
    // By itself each says what is wrong; where nothing is, it was the other family.
    const [rules, sets] = await Promise.all([this.#saveRules(family, signal), this.#askSets(ask, signal)]);
    this.#apart = together ? LOOKS_APART : this.#apart - 1;
    return { rules, sets };
  }

  /** What checks of both families look at, from one shell: to start a process costs more than what it does. */
  async #survey(ask: readonly string[], signal: AbortSignal): Promise<Readonly<Record<Family | "sets", string>>> {
    const saves = FAMILIES.map((family) => `${this.#iptables(family, "save", this.backend).program} -t filter`);
    const script = [...saves, `ipset ${ask.join(" ")}`].join(` && echo "${SEAM}" && `);
    const printed = await this.#once(script, () => this.#shell.run(script, signal));
    const [ipv4 = "", ipv6 = "", sets = ""] = printed.split(`${SEAM}\n`);
    return { ipv4, ipv6, sets };
  }

  async #saveRules(family: Family, signal: AbortSignal): Promise<string> {
    const save = this.#iptables(family, "save", this.backend);
    const { stdout } = await runTool(save, ["-t", "filter"], "", signal);
    return withFilter(save, stdout);
  }

  /** The sets of both families come together. */
  #askSets(ask: readonly string[], signal: AbortSignal): Promise<string> {
    return this.#once(ask.join(" "), () => setsOf(runTool(IPSET, ask, "", signal)));
  }

  /** Who asks in the same moment gets the same answer. */
  #once(key: string, ask: () => Promise<string>): Promise<string> {
    const asked = this.#asked.get(key) ?? ask();
    this.#asked.set(key, asked);
    queueMicrotask(() => this.#asked.delete(key));
    return asked;
  }

  async leftovers(family: Family, signal: AbortSignal): Promise<Pick<KernelState, "chains" | "hooks">> {
    // Without `-t` iptables shows the tables that are there, and loads none.
    const save = this.#iptables(family, "save", this.backend);
    return parseRules(withFilter(save, await rulesOf(runTool(save, [], "", signal))));
  }

  async reached(family: Family, signal: AbortSignal): Promise<ReadonlyMap<string, number>> {
    const { stdout } = await runTool(this.#iptables(family, "save", this.backend), ["-c", "-t", "filter"], "", signal);
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
    const [native, ...saved] = await Promise.all([
      rulesOf(runTool(NFT, ["list", "ruleset"], "", signal)),
      ...saves.map((save) => rulesOf(runTool(save, [], "", signal))),
    ]);
    // What iptables does not show nft does, except for what only iptables can read.
    const hidden = saved.some((rules) => hiddenTables(rules).size > 0);
    if (hidden && (native === "" || hasOpaqueMarks(native))) return ALL_BITS;
    const bits = saved.map((rules) => foreignMarkBits(rules));
    return [nftMarkBits(native), ...bits].reduce((all, each) => (all | each) >>> 0, 0);
  }

  async connectionHolds(family: Family, mark: string, signal: AbortSignal): Promise<boolean> {
    const { stdout } = await runTool(CONNTRACK, ["-L", "-f", family, "-m", mark], "", signal);
    return stdout.trim() !== "";
  }

  async flows(family: Family, signal: AbortSignal): Promise<readonly Flow[]> {
    const { stdout } = await runTool(CONNTRACK, ["-L", "-f", family], "", signal);
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
    this.#shell.close();
  }

  async #delete(which: readonly string[], signal: AbortSignal): Promise<void> {
    for (let tried = 1; ; tried += 1) {
      try {
        await runTool(CONNTRACK, ["-D", ...which], "", signal);
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

/** @throws NetfilterError where the rules of the filter table are hidden from us */
function withFilter({ program }: Tool, saved: string): string {
  const words = hiddenTables(saved).get("filter");
  if (words !== undefined) throw new NetfilterError("ApplyFailed", `${program}: ${words}`);
  return saved;
}
