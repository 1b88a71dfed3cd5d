import type { Family } from "../layout/family.ts";
import type { Flow, TrackedFlow } from "../layout/flow-verdict.ts";
import type { KernelState } from "../render/kernel-state.ts";

/** What the enforcer needs of the kernel. */
export interface Netfilter {
  readonly backend: Backend;
  /** Our chains and sets of one family, and the names of the other's sets. @throws NetfilterError */
  read(family: Family, signal: AbortSignal): Promise<KernelState>;
  /** A short text that changes with what `read` tells, for a fraction of the cost. @throws NetfilterError */
  outline(family: Family, members: MemberView, signal: AbortSignal): Promise<string>;
  /** Like `read`, without sets and without making the kernel load what it does not use. @throws NetfilterError */
  leftovers(family: Family, signal: AbortSignal): Promise<Pick<KernelState, "chains" | "hooks">>;
  /** How many packets have reached the last rule of each of our chains. @throws NetfilterError */
  reached(family: Family, signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /** `ipset restore -exist`. After a failure an unknown part of it is in force. @throws NetfilterError */
  restoreSets(text: string, signal: AbortSignal): Promise<void>;
  /**
   * Transactions of `iptables-restore --noflush`, one after the other. Of one that is refused nothing is in force, and
   * nothing of those that follow; those before it may be. @throws NetfilterError; NoAnswer: any of it may be in force
   */
  restoreRules(family: Family, text: string, signal: AbortSignal): Promise<void>;
  /**
   * Bits of the connection mark that rules of others use, in whatever backend and family. @throws NetfilterError where
   * that cannot be told
   */
  foreignMarkBits(signal: AbortSignal): Promise<number>;
  /** Whether a tracked connection's mark has this value in these bits (`0x10000/0xffff0000`). @throws NetfilterError */
  connectionHolds(family: Family, mark: string, signal: AbortSignal): Promise<boolean>;
  /** All tracked connections of TCP, UDP, SCTP and ICMP. @throws NetfilterError */
  flows(family: Family, signal: AbortSignal): Promise<readonly TrackedFlow[]>;
  /**
   * Makes connection tracking forget these, and all others from the same client to the same port of the server. Those
   * that have ended by themselves do not matter. @throws NetfilterError
   */
  forget(family: Family, flows: readonly Flow[], signal: AbortSignal): Promise<void>;
  /** Makes connection tracking forget every connection from or to an address. @throws NetfilterError */
  forgetAddress(family: Family, address: string, signal: AbortSignal): Promise<void>;
  /** Ends what it keeps running, if anything. It can be used again. */
  close(): void;
}

/** Each member of each set, or only how many each set has. */
export type MemberView = "listed" | "counted";

export type Backend = "nft" | "legacy";

/** A tool of the kernel's firewall is missing, refused what it was told, or did not answer. */
export class NetfilterError extends Error {
  /**
   * For a condition: `IptablesMissing`, `IpsetMissing`, `ConntrackMissing`, `KernelUnsupported`, `GenerationsExhausted`
   * or `ApplyFailed`.
   */
  readonly reason: string;

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NetfilterError";
    this.reason = reason;
  }
}

/**
 * A tool hangs, was killed, could not be started, or waits for the lock of others. What it was told may be in force or
 * not, and the kernel has not said whether it can do it.
 */
export class NoAnswer extends NetfilterError {
  constructor(message: string, options?: ErrorOptions) {
    super("ApplyFailed", message, options);
  }
}
