import { isDeepStrictEqual } from "node:util";
import { errorMessage } from "../api/error-message.ts";
import { DEFAULT_ENFORCER_SETTINGS } from "../api/enforcer-settings.ts";
import type { NodeState } from "../api/node-state.ts";
import type { Versions } from "../stream/versions.ts";
import type { Clock } from "./clock.ts";
import type { NodeCopy } from "./disk-copy.ts";
import type { LineLogger } from "./line-logger.ts";
import type { NodeFigures } from "./metrics-text.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";
import type { Applied, NodeFirewall, NodeSettings } from "./node-firewall.ts";
import type { Memory } from "./node-memory.ts";
import type { Failure, NodeReport } from "./node-report.ts";
import { EMPTY_STATE } from "./node-state.ts";
import type { PacketLog } from "./packet-log/packet-log.ts";
import type { InForce } from "./reports.ts";
import { Reports } from "./reports.ts";
import type { Situation, Turn } from "./timetable.ts";
import { Timetable } from "./timetable.ts";
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
  readonly #stalledAfterMs: number;
  readonly #times: Timetable;
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
  /** What became of the last attempt at what is wanted, and of the last look at what is in force. */
  #failure: Told | undefined;
  #doubt: Told | undefined;

  constructor(options: AgentOptions) {
    this.#firewall = options.firewall;
    this.#reports = new Reports(options.report, () => this.#firewall.backend, options.log);
    this.#memory = options.memory;
    this.#packets = options.packets;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#stalledAfterMs = options.stalledAfterMs ?? STALLED_AFTER_MS;
    this.#times = new Timetable({ sweepAfterMs: options.sweepAfterMs ?? SWEEP_AFTER_MS, random: options.random });
  }

  /** A state that the operator has sent is in force, and nothing has failed since. */
  get ready(): boolean {
    return this.#applied?.wanted.origin === "stream" && this.#failure === undefined && this.#doubt === undefined;
  }

  /** What there is to be measured now. @throws NetfilterError */
  async figures(signal: AbortSignal): Promise<NodeFigures> {
    const { wanted, result } = this.#applied ?? {};
    const counts = await this.#firewall.counts(wanted?.state ?? EMPTY_STATE, signal);
    const { rules, sets } = result ?? { rules: { ipv4: 0, ipv6: 0 }, sets: 0 };
    return { counts, rules, sets, ready: this.ready };
  }

  /** Takes the disk copy of an earlier run; to be called before `run`. */
  recall(copy: NodeCopy): void {
    this.configure(copy.settings);
    this.#copy = copy;
  }

  /**
   * Takes what the operator says of the node. It counts from the next turn on, whatever state is wanted then: to be
   * called together with `receive` or `retire`, never for a state that has not wholly come.
   */
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
    this.#times.arrived();
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
    this.#times.arrived();
    this.#wakeUp.call();
  }

  /** Works until the signal is aborted. Stopping touches no rule. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const turn = this.#times.turn(this.#clock.monotonic(), this.#situation);
      try {
        await this.#watched(this.#take(turn, signal), signal);
      } catch (error) {
        if (!signal.aborted) this.#fail(turn, error);
      }
      const wait = this.#times.next(this.#situation) - this.#clock.monotonic();
      if (wait > 0) await this.#wakeUp.sleep(wait, this.#clock, signal);
    }
  }

  get #situation(): Situation {
    if (this.#leaving !== "no") return { news: this.#leaving === "asked", settled: false };
    const prepared = this.#prepared === this.#settings;
    const { wanted, settings = this.#prepared } = this.#applied ?? {};
    const changed = this.#wanted !== wanted || settings !== this.#prepared;
    // A look at what was in force would undo what an attempt at something newer has left, and each attempt looks too.
    return { news: !prepared || changed || this.#copy !== undefined, settled: this.#failure === undefined || !prepared };
  }

  async #take(turn: Turn, signal: AbortSignal): Promise<void> {
    switch (turn) {
      case "state":
        return await this.#pursue(signal);
      case "check":
        return await this.#check(signal);
      case "sweep":
        return await this.#sweep(signal);
      case "nothing":
    }
  }

  /** A tool that hangs must not keep what it holds up from being seen. */
  async #watched(work: Promise<void>, signal: AbortSignal): Promise<void> {
    const done = new AbortController();
    const watch = this.#clock.sleep(this.#stalledAfterMs, done.signal).then(() => {
      if (done.signal.aborted || signal.aborted) return;
      const message = `what the node is to do takes longer than ${this.#stalledAfterMs / 1_000} s, and is still waited for`;
      this.#log.warn("the firewall's tools take long", { message });
      this.#reports.failed(this.#inForce, this.#judged({ reason: "ApplyStalled", message }));
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

  /** Brings about what is wanted. */
  async #pursue(signal: AbortSignal): Promise<void> {
    if (this.#leaving === "asked") await this.#leave(signal);
    if (this.#leaving !== "no") return;
    const settings = this.#settings;
    if (this.#prepared !== settings) await this.#firewall.prepare(settings, signal);
    this.#prepared = settings;
    this.#times.watch(this.#clock.monotonic(), settings.driftCheckMs);
    // They have changed meanwhile: nothing is confirmed that is not enforced as it should be.
    if (this.#settings !== settings) return;
    if (this.#copy !== undefined) await this.#consider(this.#copy, signal);
    const wanted = this.#wanted;
    if (wanted !== undefined) await this.#apply(wanted, settings, signal);
    this.#failure = undefined;
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
    this.#doubt = undefined;
    this.#times.stop();
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
    this.#failure = undefined;
    // Whoever began with a look at the kernel has put all of it right.
    if (this.#firewall.intact) this.#doubt = undefined;
    this.#times.changed(this.#clock.monotonic(), result.leaversDue);
    this.#settle(wanted, settings, result);
    const duration = Math.round(this.#clock.monotonic() - start);
    const { wrote, rules, sets } = result;
    const facts = { ...rules, sets, pods: state.pods.size, milliseconds: duration };
    if (wrote) this.#log.info(wanted.origin === "disk" ? "disk copy applied" : "state applied", facts);
  }

  /** Looks whether what is in force still is, and puts it right. */
  async #check(signal: AbortSignal): Promise<void> {
    const start = this.#clock.monotonic();
    const { wanted } = this.#applied ?? {};
    // What an earlier run has left is in force, though nobody knows what it is: it should be asked at least.
    if (wanted === undefined) await this.#firewall.uphold(signal);
    const result = wanted && (await this.#firewall.verify(wanted.state, signal));
    this.#doubt = undefined;
    this.#times.checked(start, this.#clock.monotonic(), this.#settings.driftCheckMs, result?.leaversDue);
    if (wanted === undefined || result === undefined || this.#prepared === undefined) {
      // The stream may have spoken meanwhile.
      if (this.#wanted === undefined && this.#leaving === "no") this.#reports.failed(undefined, AWAITING);
      return;
    }
    const { wrote, rules, sets } = result;
    if (wrote) this.#log.warn("drift corrected", { ...rules, sets });
    this.#settle(wanted, this.#prepared, result);
  }

  /** What is in force stays so if this fails; the next check tries again. */
  async #sweep(signal: AbortSignal): Promise<void> {
    this.#times.swept();
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
    this.#packets?.follow(state, settings);
    const wrong = this.#doubt ?? this.#failure;
    if (wrong !== undefined) this.#reports.failed({ state, result }, this.#judged(wrong));
    else this.#reports.inForce({ state, result }, origin === "disk" ? "EnforcingDiskCopy" : "Enforcing");
    if (origin === "stream") this.#memory?.keep({ settings, state, versions });
  }

  #fail(turn: Turn, error: unknown): void {
    const reason = error instanceof NetfilterError ? error.reason : "ApplyFailed";
    const told: Told = { reason, message: errorMessage(error) };
    this.#log.error("the firewall could not be brought to its state", { reason, error: told.message });
    // Also what came not of something newer, but of peers that have left.
    if (turn === "state" && this.#situation.news) this.#failure = told;
    else this.#doubt = told;
    this.#times.failed(this.#clock.monotonic(), turn);
    this.#reports.failed(this.#inForce, this.#judged(told));
  }

  /**
   * Whether what is in force holds beside something that went wrong, decided here alone. It does when only something
   * newer could not be brought about; not when it could not be looked at or put right, or when attempts have left an
   * unknown part of something else.
   */
  #judged(wrong: Told): Failure {
    const doubt = this.#doubt !== undefined || !this.#firewall.intact;
    return doubt ? { ...wrong, doubt } : wrong;
  }
}

type Told = Omit<Failure, "doubt">;

/** The API server can be told without an operator. What it still says of an earlier run nobody vouches for. */
const AWAITING: Told = {
  reason: "AwaitingState",
  message:
    "no state has come from the operator yet, and no disk copy says what is in force: " +
    "what an earlier run left in the kernel stays, and nothing of it is confirmed",
};
