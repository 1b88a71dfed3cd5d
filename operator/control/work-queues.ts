import { errorText } from "../api/error-message.ts";
import type { Clock } from "../kube/clock.ts";
import { WorkQueue, type Result } from "../kube/work-queue.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface QueueDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const BACKOFF = { firstMs: 50, mostMs: 60_000 };

/** A queue whose reconciles are counted, timed and logged under `controller`'s name. */
export function controllerQueue(
  controller: string,
  workers: number,
  reconcile: (key: string) => Promise<Result>,
  deps: QueueDeps,
): WorkQueue {
  const { clock, random, log, metrics } = deps;
  return new WorkQueue({
    reconcile,
    workers,
    backoff: BACKOFF,
    clock,
    random,
    onError: (key, error, failures) =>
      log.warn("reconcile failed, will be tried again", { controller, key, failures, error: errorText(error) }),
    onDone: (_key, result, seconds) => {
      metrics.reconciles.inc({ controller, result });
      metrics.reconcileSeconds.observe({ controller }, seconds);
    },
  });
}
