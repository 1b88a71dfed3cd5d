import { isDeepStrictEqual } from "node:util";
import { DEFAULT_ENFORCER_SETTINGS } from "../api/enforcer-settings.ts";
import type { NodeState } from "../api/node-state.ts";
import type { Backoff } from "../timing/backoff.ts";
import { waitAfter } from "../timing/backoff.ts";
import type { Clock } from "./clock.ts";
import type { Finding } from "./finding.ts";
import type { LineLogger } from "./line-logger.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";
import type { Applied, NodeFirewall, NodeSettings } from "./node-firewall.ts";
import type { NodeReport } from "./node-report.ts";
import { WakeUp } from "./wake-up.ts";

export interface AgentOptions {
  readonly firewall: NodeFirewall;
  /** Told after each apply that confirmed something, and after each failure. */
  readonly report: (report: NodeReport) => void;
  readonly log: LineLogger;
  readonly clock: Clock;
  readonly random: () => number;
  /** Quiet time after which unreferenced rules are removed. Milliseconds. */
  readonly sweepAfterMs?: number;
}

/** States come in bursts, and a sweep takes as long as an apply: it waits for a quiet moment. */
const SWEEP_AFTER_MS = 200;
const RETRY: Backoff = { firstMs: 100, mostMs: 5_000 };

/**
 * Keeps the node's firewall equal to the newest state of its stream. Until the first complete state has come it only
 * sees to the skeleton: what an earlier run left stays in force.
 */
export class Agent {
  readonly #firewall: NodeFirewall;
  readonly #report: (report: NodeReport) => void;
  readonly #log: LineLogger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #sweepAfterMs: number;
  readonly #wakeUp = new WakeUp();
  #settings: NodeSettings = { ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: [] };
  /** States that arrive while one is being applied replace each other here. */
  #wanted: NodeState | undefined;
  #applied: { readonly state: NodeState; readonly result: Applied } | undefined;
  /** For these settings the firewall is prepared. */
  #prepared: NodeSettings | undefined;
  #failures = 0;
  #said: ReadonlySet<string> = new Set();
  #checkAt = 0;
  #sweepAt = Infinity;
  #leaversAt = Infinity;

  constructor({ firewall, report, log, clock, random, sweepAfterMs = SWEEP_AFTER_MS }: AgentOptions) {
    this.#firewall = firewall;
    this.#report = report;
    this.#log = log;
    this.#clock = clock;
    this.#random = random;
    this.#sweepAfterMs = sweepAfterMs;
  }

  /** A state is in force, it is the newest one, and nothing has failed since. */
  get ready(): boolean {
    return this.#applied !== undefined && this.#failures === 0;
  }

  /** Takes what the operator says of the node; what that changes in the kernel is done with the next state. */
  configure(settings: NodeSettings): void {
    if (isDeepStrictEqual(settings, this.#settings)) return;
    this.#settings = settings;
    this.#log.info("settings received", { settings: JSON.stringify(settings) });
  }

  /** Takes a complete state and returns at once; what is applied next is the newest one then. */
  receive(state: NodeState): void {
    this.#wanted = state;
    this.#wakeUp.call();
  }

  /** Works until the signal is aborted. Stopping touches no rule. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#work(signal);
        this.#failures = 0;
      } catch (error) {
        if (!signal.aborted) await this.#fail(error, signal);
        continue;
      }
      if (this.#wanted === this.#applied?.state && this.#prepared === this.#settings) {
        const next = this.#applied === undefined ? Infinity : Math.min(this.#checkAt, this.#sweepAt, this.#leaversAt);
        await this.#wakeUp.sleep(Math.max(0, next - this.#clock.monotonic()), this.#clock, signal);
      }
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    const settings = this.#settings;
    const anew = this.#prepared !== settings;
    if (anew) await this.#firewall.prepare(settings, signal);
    this.#prepared = settings;
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    const leavers = this.#clock.monotonic() >= this.#leaversAt;
    if (anew || leavers || wanted !== this.#applied?.state) await this.#apply(wanted, signal);
    else if (this.#clock.monotonic() >= this.#checkAt) await this.#check(wanted, signal);
    else if (this.#clock.monotonic() >= this.#sweepAt) await this.#sweep(signal);
  }

  async #apply(state: NodeState, signal: AbortSignal): Promise<void> {
    const start = this.#clock.monotonic();
    const result = await this.#firewall.apply(state, signal);
    this.#settle(state, result);
    const duration = Math.round(this.#clock.monotonic() - start);
    const { wrote, rules, sets } = result;
    if (wrote) this.#log.info("state applied", { ...rules, sets, pods: state.pods.size, milliseconds: duration });
  }

  async #check(state: NodeState, signal: AbortSignal): Promise<void> {
    const result = await this.#firewall.verify(state, signal);
    const { wrote, rules, sets } = result;
    if (wrote) this.#log.warn("drift corrected", { ...rules, sets });
    this.#settle(state, result);
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

  #settle(state: NodeState, result: Applied): void {
    this.#applied = { state, result };
    this.#checkAt = this.#clock.monotonic() + this.#settings.driftCheckMs;
    this.#sweepAt = this.#clock.monotonic() + this.#sweepAfterMs;
    this.#leaversAt = result.leaversDue ?? Infinity;
    this.#say(result.findings);
    this.#report({ state, ...result, backend: this.#firewall.backend, failure: undefined });
  }

  /** Each finding once, when it is new. */
  #say(findings: readonly Finding[]): void {
    for (const finding of findings) {
      if (!this.#said.has(finding.message)) this.#log.warn("something is wrong with the node", { ...finding });
    }
    this.#said = new Set(findings.map(({ message }) => message));
  }

  async #fail(error: unknown, signal: AbortSignal): Promise<void> {
    this.#failures += 1;
    const reason = error instanceof NetfilterError ? error.reason : "ApplyFailed";
    const message = error instanceof Error ? error.message : String(error);
    this.#log.error("the firewall could not be brought to its state", { reason, error: message });
    this.#report({
      state: this.#applied?.state,
      wrote: false,
      rules: this.#applied?.result.rules ?? { ipv4: 0, ipv6: 0 },
      sets: this.#applied?.result.sets ?? 0,
      findings: this.#applied?.result.findings ?? [],
      leaversDue: undefined,
      backend: this.#firewall.backend,
      failure: { reason, message },
    });
    await this.#clock.sleep(waitAfter(this.#failures, RETRY, this.#random), signal);
  }
}
