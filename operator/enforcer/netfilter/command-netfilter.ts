import type { Family } from "../layout/family.ts";
import { FAMILIES } from "../layout/family.ts";
import type { Flow } from "../layout/flow-verdict.ts";
import type { KernelState } from "../render/kernel-state.ts";
import { parseFlows } from "./conntrack-parser.ts";
import { iptablesProgram, RESTORE } from "./iptables.ts";
import { foreignMarkBits } from "./mark-bits.ts";
import type { Backend, MemberView, Netfilter } from "./netfilter.ts";
import { NetfilterError } from "./netfilter.ts";
import { nftMarkBits } from "./nft-mark-bits.ts";
import { outlineOfRules, outlineOfSets, parseReached, parseRules, parseSets } from "./save-parser.ts";
import type { Tool, ToolOutput } from "./tool.ts";
import { runTool } from "./tool.ts";

const IPSET: Tool = { program: "ipset", missing: "IpsetMissing" };
const CONNTRACK: Tool = { program: "conntrack", missing: "ConntrackMissing" };
const SHELL: Tool = { program: "sh", missing: "ApplyFailed" };
const NFT: Tool = { program: "nft", missing: "NftMissing" };
/** Connections end all the time; one that ends under the hand of conntrack makes it give up. */
const MOST_TRIES = 20;
/** Between what the tools of a survey print: no rule or set looks so. */
const SEAM = "# and then";
const BACKENDS: readonly Backend[] = ["nft", "legacy"];

interface Look {
  readonly rules: string;
  readonly sets: string;
}

/** The kernel by its own tools, one process a request, in the network namespace of this process. */
export class CommandNetfilter implements Netfilter {
  readonly backend: Backend;
  readonly #asked = new Map<string, Promise<string>>();
  /** Both families can be looked at together: a node may lack one of them. */
  #surveys = true;

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
    if (this.#surveys) {
      try {
        const { ipv4, ipv6, sets } = await this.#survey(ask, signal);
        return { rules: family === "ipv4" ? ipv4 : ipv6, sets };
      } catch (error) {
        if (!(error instanceof NetfilterError) || signal.aborted) throw error;
      }
    }
    // By itself each says what is wrong; where nothing is, it was the other family.
    const [rules, sets] = await Promise.all([this.#saveRules(family, signal), this.#askSets(ask, signal)]);
    this.#surveys = false;
    return { rules, sets };
  }

  /** What checks of both families look at, from one process: to start one costs more than what it does. */
  async #survey(ask: readonly string[], signal: AbortSignal): Promise<Readonly<Record<Family | "sets", string>>> {
    const saves = FAMILIES.map((family) => `${this.#iptables(family, "save", this.backend).program} -t filter`);
    const script = [...saves, `ipset ${ask.join(" ")}`].join(` && echo "${SEAM}" && `);
    const printed = await this.#once(script, async () => (await runTool(SHELL, ["-c", script], "", signal)).stdout);
    const [ipv4 = "", ipv6 = "", sets = ""] = printed.split(`${SEAM}\n`);
    return { ipv4, ipv6, sets };
  }

  async #saveRules(family: Family, signal: AbortSignal): Promise<string> {
    const save = this.#iptables(family, "save", this.backend);
    const { stdout } = await runTool(save, ["-t", "filter"], "", signal);
    // Said with exit status 0: a rule that iptables cannot express hides the table's other rules from us.
    if (stdout.includes("is incompatible")) {
      throw new NetfilterError("ApplyFailed", `${save.program}: ${stdout.trim().slice(0, 200)}`);
    }
    return stdout;
  }

  /** The sets of both families come together. */
  #askSets(ask: readonly string[], signal: AbortSignal): Promise<string> {
    return this.#once(ask.join(" "), () => runTool(IPSET, ask, "", signal).catch(noSets).then(({ stdout }) => stdout));
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
    const { stdout } = await runTool(this.#iptables(family, "save", this.backend), [], "", signal).catch(nothing);
    return parseRules(stdout);
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
      // A node without a tool, or a kernel without what it speaks to, holds no such rules.
      runTool(NFT, ["list", "ruleset"], "", signal).catch(nothing),
      ...saves.map((save) => runTool(save, [], "", signal).catch(nothing)),
    ]);
    const bits = saved.map(({ stdout }) => foreignMarkBits(stdout));
    return [nftMarkBits(native.stdout), ...bits].reduce((all, each) => (all | each) >>> 0, 0);
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
    // Every process has ended with its request.
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

function nothing(error: unknown): ToolOutput {
  if (error instanceof NetfilterError) return { stdout: "", stderr: "" };
  throw error;
}

/** A kernel without sets holds none of ours. */
function noSets(error: unknown): ToolOutput {
  if (error instanceof NetfilterError && error.message.includes("Cannot open session to kernel")) return nothing(error);
  throw error;
}
