import type { Family } from "../layout/family.ts";
import type { KernelState } from "../render/kernel-state.ts";

/** What the agent needs of the kernel. */
export interface Netfilter {
  readonly backend: Backend;
  /** Our chains and sets of one family. @throws NetfilterError */
  read(family: Family, signal: AbortSignal): Promise<KernelState>;
  /** `ipset restore -exist`. After a failure an unknown part of it is in force. @throws NetfilterError */
  restoreSets(text: string, signal: AbortSignal): Promise<void>;
  /** One transaction of `iptables-restore --noflush`. After a failure nothing is in force. @throws NetfilterError */
  restoreRules(family: Family, text: string, signal: AbortSignal): Promise<void>;
  /** Bits of the connection mark that rules of others use, in either backend. @throws NetfilterError */
  foreignMarkBits(signal: AbortSignal): Promise<number>;
  /** Whether a tracked connection's mark has this value (`0x10000/0xffff0000`). @throws NetfilterError */
  connectionHolds(mark: string, signal: AbortSignal): Promise<boolean>;
}

export type Backend = "nft" | "legacy";

/** A tool of the kernel's firewall is missing, refused what it was told, or did not answer. */
export class NetfilterError extends Error {
  /** For a condition: `IptablesMissing`, `IpsetMissing`, `ConntrackMissing` or `ApplyFailed`. */
  readonly reason: string;

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NetfilterError";
    this.reason = reason;
  }
}
