import type { Family } from "../layout/family.ts";
import type { KernelState } from "../render/kernel-state.ts";
import { foreignMarkBits } from "./mark-bits.ts";
import type { Backend, Netfilter } from "./netfilter.ts";
import { NetfilterError } from "./netfilter.ts";
import { parseRules, parseSets } from "./save-parser.ts";
import type { Tool } from "./tool.ts";
import { runTool } from "./tool.ts";

const IPSET: Tool = { program: "ipset", missing: "IpsetMissing" };
const CONNTRACK: Tool = { program: "conntrack", missing: "ConntrackMissing" };
/** iptables waits this long for the lock of others: kube-proxy holds it for up to seconds on a large cluster. */
const LOCK_SECONDS = "5";

/** The kernel by its own tools, one process a request, in the network namespace of this process. */
export class CommandNetfilter implements Netfilter {
  readonly backend: Backend;

  constructor(backend: Backend) {
    this.backend = backend;
  }

  async read(family: Family, signal: AbortSignal): Promise<KernelState> {
    const save = this.#iptables(family, "save", this.backend);
    const [rules, sets] = await Promise.all([
      runTool(save, ["-t", "filter"], "", signal),
      runTool(IPSET, ["save"], "", signal),
    ]);
    // Said with exit status 0: a rule that iptables cannot express hides the table's other rules from us.
    if (rules.stdout.includes("is incompatible")) {
      throw new NetfilterError("ApplyFailed", `${save.program}: ${rules.stdout.trim().slice(0, 200)}`);
    }
    return { ...parseRules(rules.stdout), sets: parseSets(sets.stdout, family) };
  }

  async restoreSets(text: string, signal: AbortSignal): Promise<void> {
    await runTool(IPSET, ["restore", "-exist"], text, signal);
  }

  async restoreRules(family: Family, text: string, signal: AbortSignal): Promise<void> {
    await runTool(this.#iptables(family, "restore", this.backend), ["--noflush", "-w", LOCK_SECONDS], text, signal);
  }

  async foreignMarkBits(signal: AbortSignal): Promise<number> {
    const saves = (["nft", "legacy"] as const).map((backend) => this.#iptables("ipv4", "save", backend));
    const saved = await Promise.all(saves.map((save) => runTool(save, [], "", signal)));
    return saved.reduce((bits, { stdout }) => (bits | foreignMarkBits(stdout)) >>> 0, 0);
  }

  async connectionHolds(mark: string, signal: AbortSignal): Promise<boolean> {
    const { stdout } = await runTool(CONNTRACK, ["-L", "-m", mark], "", signal);
    return stdout.trim() !== "";
  }

  #iptables(family: Family, verb: "save" | "restore", backend: Backend): Tool {
    const tables = family === "ipv4" ? "iptables" : "ip6tables";
    return { program: `${tables}-${backend}-${verb}`, missing: "IptablesMissing" };
  }
}
