import { isDeepStrictEqual } from "node:util";
import { errorMessage } from "../api/error-message.ts";
import { DEFAULT_ENFORCER_SETTINGS } from "../api/enforcer-settings.ts";
import type { NodeState } from "../api/node-state.ts";
import type { Backoff } from "../timing/backoff.ts";
import { waitAfter } from "../timing/backoff.ts";
import type { Versions } from "../stream/versions.ts";
import type { Clock } from "./clock.ts";
import type { NodeCopy } from "./disk-copy.ts";
import type { LineLogger } from "./line-logger.ts";
import type { NodeFigures } from "./metrics-text.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";
import type { Applied, NodeFirewall, NodeSettings } from "./node-firewall.ts";
import type { Memory } from "./node-memory.ts";
import type { NodeReport } from "./node-report.ts";
import { NO_PACKETS } from "./packet-counts.ts";
import type { PacketLog } from "./packet-log/packet-log.ts";
import type { InForce } from "./reports.ts";
import { Reports } from "./reports.ts";
import { WakeUp } from "./wake-up.ts";

export interface AgentOptions {
  readonly firewall: NodeFirewall;
  /** Told after each apply that confirmed something, and after each failure. */
  readonly report: (report: NodeReport) => void;
  /** Keeps what is in force for the next start; absent = nothing is kept. */
  readonly memory?: Memory;
  /** Told what is in force, so that it can say what the rules log; absent = nothing is said of packets. */
  readonly packets?: Pick<PacketLog, "follow">;
  readonly log: LineLogger;
  readonly clock: Clock;
  readonly random: () => number;
  /** Quiet time after which unreferenced rules are removed. Milliseconds. */
  readonly sweepAfterMs?: number;
  /** Work that takes longer is said to do so. Milliseconds. */
  readonly stalledAfterMs?: number;
}

/** A complete state, and whether the operator has said it in this run. */
interface Wanted {
  readonly state: NodeState;
  readonly versions: Versions;
  readonly origin: "stream" | "disk";
}

/** States come in bursts, and a sweep takes as long as an apply: it waits for a quiet moment. */
const SWEEP_AFTER_MS = 200;
/** Tools that hang are given up after some 10 to 20 s, and wait up to 5 s for the lock of others. */
const STALLED_AFTER_MS = 7_000;
const RETRY: Backoff = { firstMs: 100, mostMs: 5_000 };

/**
 * Keeps the node's firewall equal to the newest state of its stream. Until the first complete state has come it only
 * sees to the skeleton: what an earlier run left stays in force. After a reboot nothing is left, and the disk copy
 * stands in.
 */
export class Agent {
  readonly #firewall: NodeFirewall;
  readonly #reports: Reports;
  readonly #memory: Memory | undefined;
  readonly #packets: AgentOptions["packets"];
  readonly #log: LineLogger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #sweepAfterMs: number;
  readonly #stalledAfterMs: number;
  readonly #wakeUp = new WakeUp();
  #settings: NodeSettings = { ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: [] };
  /** States that arrive while one is being applied replace each other here. */
  #wanted: Wanted | undefined;
  #applied: { readonly wanted: Wanted; readonly settings: NodeSettings; readonly result: Applied } | undefined;
  /** Of an earlier run, while it is not known yet whether the kernel still holds something newer. */
  #copy: NodeCopy | undefined;
  #leaving: "no" | "asked" | "done" = "no";
  /** For these settings the firewall is prepared. */
  #prepared: NodeSettings | undefined;
  #failures = 0;
  #checkAt = 0;
  #sweepAt = Infinity;
  #leaversAt = Infinity;

  constructor(options: AgentOptions) {
    this.#firewall = options.firewall;
    this.#reports = new Reports(options.report, () => this.#firewall.backend, options.log);
    this.#memory = options.memory;
    this.#packets = options.packets;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#sweepAfterMs = options.sweepAfterMs ?? SWEEP_AFTER_MS;
    this.#stalledAfterMs = options.stalledAfterMs ?? STALLED_AFTER_MS;
  }

  /** A state that the operator has sent is in force, and nothing has failed since. */
  get ready(): boolean {
    return this.#applied?.wanted.origin === "stream" && this.#failures === 0;
  }

  /** What there is to be measured now. @throws NetfilterError */
  async figures(signal: AbortSignal): Promise<NodeFigures> {
    const { wanted, result } = this.#applied ?? {};
    const counts = wanted === undefined ? NO_PACKETS : await this.#firewall.counts(wanted.state, signal);
    const { rules, sets } = result ?? { rules: { ipv4: 0, ipv6: 0 }, sets: 0 };
    return { counts, rules, sets, ready: this.ready };
  }

  /** Takes the disk copy of an earlier run; to be called before `run`. */
  recall(copy: NodeCopy): void {
    this.configure(copy.settings);
    this.#copy = copy;
  }

  /** Takes what the operator says of the node; what that changes in the kernel is done with the next state. */
  configure(settings: NodeSettings): void {
    if (isDeepStrictEqual(settings, this.#settings)) return;
    this.#settings = settings;
    this.#log.info("settings received", { settings: JSON.stringify(settings) });
  }

  /** Takes a complete state and returns at once; what is applied next is the newest one then. */
  receive(state: NodeState, versions: Versions = {}): void {
    this.#wanted = { state, versions, origin: "stream" };
    this.#copy = undefined;
    this.#reports.understood();
    this.#leaving = "no";
    this.#wakeUp.call();
  }

  /** Takes that what the stream says makes no sense: what is in force stays, and the node says so. */
  refuse(reason: string): void {
    this.#reports.refused(reason);
  }

  /** Takes that the node is to be cleared of all of ours; a state that comes later takes it back. */
  retire(): void {
    this.#wanted = undefined;
    this.#copy = undefined;
    this.#reports.understood();
    this.#leaving = "asked";
    this.#wakeUp.call();
  }

  /** Works until the signal is aborted. Stopping touches no rule. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#watched(this.#work(signal), signal);
        this.#failures = 0;
      } catch (error) {
        if (!signal.aborted) await this.#fail(error, signal);
        continue;
      }
      if (!this.#hasWork) {
        const next = this.#applied === undefined ? Infinity : Math.min(this.#checkAt, this.#sweepAt, this.#leaversAt);
        await this.#wakeUp.sleep(Math.max(0, next - this.#clock.monotonic()), this.#clock, signal);
      }
    }
  }

  /** A tool that hangs must not keep what it holds up from being seen. */
  async #watched(work: Promise<void>, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const watch = this.#clock.sleep(this.#stalledAfterMs, done.signal).then(() => {
      if (done.signal.aborted || signal.aborted) return;
      const message = `what the node is to do takes longer than ${this.#stalledAfterMs / 1_000} s, and is still waited for`;
      this.#log.warn("the firewall's tools take long", { message });
      this.#reports.failed(this.#inForce, { reason: "ApplyStalled", message });
    });
    try {
      await work;
    } finally {
      done.abort();
      await watch;
    }
  }

  get #inForce(): InForce | undefined {
    const applied = this.#applied;
    return applied && { state: applied.wanted.state, result: applied.result };
  }

  get #hasWork(): boolean {
    if (this.#leaving !== "no") return this.#leaving === "asked";
    return this.#wanted !== this.#applied?.wanted || this.#prepared !== this.#settings;
  }

  async #work(signal: AbortSignal): Promise<void> {
    if (this.#leaving === "asked") await this.#leave(signal);
    if (this.#leaving !== "no") return;
    const settings = this.#settings;
    if (this.#prepared !== settings) await this.#firewall.prepare(settings, signal);
    this.#prepared = settings;
    // They have changed meanwhile: nothing is confirmed that is not enforced as it should be.
    if (this.#settings !== settings) return;
    if (this.#copy !== undefined) await this.#consider(this.#copy, signal);
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    const leavers = this.#clock.monotonic() >= this.#leaversAt;
    const { wanted: last, settings: lastSettings } = this.#applied ?? {};
    if (leavers || lastSettings !== settings || last !== wanted) await this.#apply(wanted, settings, signal);
    else if (this.#clock.monotonic() >= this.#checkAt) await this.#check(wanted, settings, signal);
    else if (this.#clock.monotonic() >= this.#sweepAt) await this.#sweep(signal);
  }

  /** A kernel that holds something newer than the copy must not go back in time. */
  async #consider(copy: NodeCopy, signal: AbortSignal): Promise<void> {
    const standing = await this.#firewall.standing(copy.state, signal);
    // The stream may have been faster.
    if (this.#copy !== copy) return;
    this.#copy = undefined;
    if (standing === "other") this.#log.info("the rules in force are newer than the disk copy: they stay");
    else this.#wanted = { state: copy.state, versions: copy.versions, origin: "disk" };
  }

  async #leave(signal: AbortSignal): Promise<void> {
    // From the first step on nothing is in force any more, also if the second fails.
    this.#prepared = undefined;
    this.#applied = undefined;
    const { chains, sets } = await this.#firewall.clear(this.#clock, signal);
    await this.#memory?.forget();
    this.#packets?.follow(undefined, this.#settings);
    if (this.#leaving !== "asked") return;
    this.#leaving = "done";
    this.#log.info("the node is cleared, as the operator wants it", { chains, sets });
    this.#reports.retired(chains + sets > 0);
  }

  async #apply(wanted: Wanted, settings: NodeSettings, signal: AbortSignal): Promise<void> {
    const { state } = wanted;
    const start = this.#clock.monotonic();
    const result = await this.#firewall.apply(state, signal);
    this.#settle(wanted, settings, result);
    const duration = Math.round(this.#clock.monotonic() - start);
    const { wrote, rules, sets } = result;
    const facts = { ...rules, sets, pods: state.pods.size, milliseconds: duration };
    if (wrote) this.#log.info(wanted.origin === "disk" ? "disk copy applied" : "state applied", facts);
  }

  async #check(wanted: Wanted, settings: NodeSettings, signal: AbortSignal): Promise<void> {
    const result = await this.#firewall.verify(wanted.state, signal);
    const { wrote, rules, sets } = result;
    if (wrote) this.#log.warn("drift corrected", { ...rules, sets });
    this.#settle(wanted, settings, result);
    await this.#sweep(signal);
  }

  /** What is in force stays so if this fails; the next check tries again. */
  async #sweep(signal: AbortSignal): Promise<void> {
    this.#sweepAt = Infinity;
    try {
      await this.#firewall.sweep(signal);
    } catch (error) {
      if (!(error instanceof NetfilterError)) throw error;
      if (!signal.aborted) this.#log.warn("old rules could not be swept up yet", { error: error.message });
    }
  }

  #settle(wanted: Wanted, settings: NodeSettings, result: Applied): void {
    const { state, versions, origin } = wanted;
    this.#applied = { wanted, settings, result };
    this.#checkAt = this.#clock.monotonic() + this.#settings.driftCheckMs;
    this.#sweepAt = this.#clock.monotonic() + this.#sweepAfterMs;
    this.#leaversAt = result.leaversDue ?? Infinity;
    this.#packets?.follow(state, settings);
    this.#reports.inForce({ state, result }, origin === "disk" ? "EnforcingDiskCopy" : "Enforcing");
    if (origin === "stream") this.#memory?.keep({ settings, state, versions });
  }

  async #fail(error: unknown, signal: AbortSignal): Promise<void> {
    this.#failures += 1;
    const reason = error instanceof NetfilterError ? error.reason : "ApplyFailed";
    const message = errorMessage(error);
    this.#log.error("the firewall could not be brought to its state", { reason, error: message });
    this.#reports.failed(this.#inForce, { reason, message });
    // What comes meanwhile is tried at once: it may be just what helps.
    await this.#wakeUp.sleep(waitAfter(this.#failures, RETRY, this.#random), this.#clock, signal);
  }
}
