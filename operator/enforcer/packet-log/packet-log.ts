import { errorMessage } from "../../api/error-message.ts";
import type { EnforcerSettings } from "../../api/enforcer-settings.ts";
import type { NodeState } from "../../api/node-state.ts";
import type { Backoff } from "../../timing/backoff.ts";
import { waitAfter } from "../../timing/backoff.ts";
import type { Clock } from "../clock.ts";
import type { AuditSubject } from "../layout/audits.ts";
import { auditSubjects } from "../layout/audits.ts";
import type { LineLogger } from "../line-logger.ts";
import { WakeUp } from "../wake-up.ts";
import { Allowance } from "./allowance.ts";
import type { Listen } from "./listener.ts";
import { parseLoggedPacket } from "./logged-packet.ts";
import { reportsOf } from "./packet-report.ts";

type LogSettings = Pick<EnforcerSettings, "logDrops" | "logPerSecond">;

export interface PacketLogOptions {
  readonly listen: Listen;
  readonly log: LineLogger;
  readonly clock: Clock;
  readonly random: () => number;
}

const RETRY: Backoff = { firstMs: 1_000, mostMs: 60_000 };

/** What is in force. */
interface Followed {
  readonly state: NodeState;
  readonly settings: LogSettings;
  readonly subjects: ReadonlyMap<string, AuditSubject>;
}

/** Writes a line for each packet that the rules log. Nothing runs while there is nothing that they could log. */
export class PacketLog {
  readonly #options: PacketLogOptions;
  readonly #allowance: Allowance;
  readonly #wakeUp = new WakeUp();
  #followed: Followed | undefined;
  #listening: AbortController | undefined;

  constructor(options: PacketLogOptions) {
    this.#options = options;
    this.#allowance = new Allowance(() => options.clock.monotonic());
  }

  /** Takes what is in force now; `undefined` = nothing is. */
  follow(state: NodeState | undefined, settings: LogSettings): void {
    this.#followed = state && { state, settings, subjects: auditSubjects(state.pods.values()) };
    if (!this.#wanted) this.#listening?.abort();
    else if (this.#listening === undefined) this.#wakeUp.call();
  }

  /** Listens, while there is something to be heard, until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, listen, random } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      if (!this.#wanted) {
        await this.#wakeUp.sleep(Infinity, clock, signal);
        continue;
      }
      const listening = new AbortController();
      this.#listening = listening;
      try {
        await listen((line) => {
          failures = 0;
          this.#take(line);
        }, AbortSignal.any([signal, listening.signal]));
      } catch (error) {
        failures += 1;
        const reason = errorMessage(error);
        // A reader that cannot work at all says so each time it is tried, less and less often.
        log.warn("packets are not logged, will be tried again", { reason });
        await clock.sleep(waitAfter(failures, RETRY, random), signal);
      } finally {
        this.#listening = undefined;
      }
    }
  }

  get #wanted(): boolean {
    if (this.#followed === undefined) return false;
    const { settings: { logDrops }, subjects } = this.#followed;
    return logDrops === "All" || (logDrops === "Audit" && subjects.size > 0);
  }

  #take(line: string): void {
    const packet = parseLoggedPacket(line);
    if (packet === undefined || this.#followed === undefined) return;
    const { state, settings, subjects } = this.#followed;
    for (const { message, fields } of reportsOf(packet, state, subjects)) {
      if (this.#allowance.take(settings.logPerSecond)) this.#options.log.info(message, fields);
    }
  }
}
