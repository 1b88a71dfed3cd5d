import { retryAfterMs } from "../kube/api-error.ts";

interface Rest {
  readonly until: number;
  readonly error: unknown;
}

/**
 * Namespaces that the API server asked us to leave alone for a while (`Retry-After`), by SegmentPolicy. A reconcile
 * may come before that time, for the sake of another namespace.
 */
export class NamespaceRests {
  readonly #rests = new Map<string, Rest>();
  readonly #monotonic: () => number;

  /** @param monotonic milliseconds that never go back */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** A write failed; nothing is remembered unless the server named a time. A rest that is on is not prolonged. */
  refused(policy: string, namespace: string, error: unknown): void {
    const ms = retryAfterMs(error);
    const rest = key(policy, namespace);
    if (ms > 0 && !this.#rests.has(rest)) this.#rests.set(rest, { until: this.#monotonic() + ms, error });
  }

  /** @throws what the server said, while the time has not come */
  assertOver(policy: string, namespace: string): void {
    const rest = this.#rests.get(key(policy, namespace));
    if (rest === undefined) return;
    if (this.#monotonic() < rest.until) throw rest.error;
    this.#rests.delete(key(policy, namespace));
  }
}

function key(policy: string, namespace: string): string {
  return `${policy}/${namespace}`;
}
