import { isDeepStrictEqual } from "node:util";
import { errorMessage } from "../api/error-message.ts";
import type { SegmentNodeStatus } from "../api/segment-node.ts";
import type { Backoff } from "../timing/backoff.ts";
import { waitAfter } from "../timing/backoff.ts";
import type { Clock } from "./clock.ts";
import type { LineLogger } from "./line-logger.ts";
import type { NodeReport } from "./node-report.ts";
import { segmentNodeStatus } from "./node-report.ts";
import { WakeUp } from "./wake-up.ts";

/** Where a SegmentNode's status goes. */
export interface StatusSink {
  /** @throws Error to be retried; also while the operator has not made the SegmentNode yet. */
  write(status: SegmentNodeStatus, signal: AbortSignal): Promise<void>;
}

export interface ReporterOptions {
  readonly sink: StatusSink;
  readonly version: string;
  readonly log: LineLogger;
  readonly clock: Clock;
  readonly random: () => number;
}

const RETRY: Backoff = { firstMs: 250, mostMs: 5_000 };
/** Counts alone are not urgent: with thousands of nodes they add up. */
const CALM_MS = 1_000;
/**
 * After so long, and up to twice that, what was written is said again: the SegmentNode may have been deleted and made
 * anew since. To the API server the same apply once more is no write, and thousands of nodes do not come together.
 */
const AGAIN_MS = 300_000;

/**
 * Writes the newest report into the node's SegmentNode: confirmations and conditions at once, counts at most once a
 * second, nothing for minutes when nothing changed.
 */
export class SegmentNodeReporter {
  readonly #options: ReporterOptions;
  readonly #wakeUp = new WakeUp();
  #wanted: SegmentNodeStatus | undefined;
  #written: SegmentNodeStatus | undefined;

  constructor(options: ReporterOptions) {
    this.#options = options;
  }

  /** Takes a report and returns at once. */
  report(report: NodeReport): void {
    const { version, clock } = this.#options;
    this.#wanted = segmentNodeStatus(report, this.#wanted, version, clock.timestamp());
    this.#wakeUp.call();
  }

  /** Writes until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, random, sink } = this.#options;
    let failures = 0;
    let calmUntil = 0;
    let knownUntil = Infinity;
    while (!signal.aborted) {
      if (clock.monotonic() >= knownUntil) this.#written = undefined;
      const wanted = this.#wanted;
      if (wanted === undefined || !differs(wanted, this.#written)) {
        await this.#wakeUp.sleep(knownUntil - clock.monotonic(), clock, signal);
        continue;
      }
      const rest = urgent(wanted, this.#written) ? 0 : calmUntil - clock.monotonic();
      if (rest > 0) {
        await this.#wakeUp.sleep(rest, clock, signal);
        continue;
      }
      try {
        await sink.write(wanted, signal);
        this.#written = wanted;
        failures = 0;
        calmUntil = clock.monotonic() + CALM_MS;
        knownUntil = clock.monotonic() + AGAIN_MS * (1 + random());
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        log.warn("the status could not be written", { error: errorMessage(error) });
        await clock.sleep(waitAfter(failures, RETRY, random), signal);
      }
    }
  }
}

/** The time of the last apply is news only beside other news. */
function differs(wanted: SegmentNodeStatus, written: SegmentNodeStatus | undefined): boolean {
  return !isDeepStrictEqual({ ...wanted, lastAppliedTime: "" }, { ...written, lastAppliedTime: "" });
}

/** Somebody waits for it: a user for a confirmation, an alert for a failure. */
function urgent(wanted: SegmentNodeStatus, written: SegmentNodeStatus | undefined): boolean {
  const news = (status: SegmentNodeStatus | undefined): unknown => [
    status?.policies,
    status?.conditions.map(({ type, status: value, reason }) => [type, value, reason]),
  ];
  return !isDeepStrictEqual(news(wanted), news(written));
}
