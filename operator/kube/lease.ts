import { find } from "./apply.ts";
import type { ApiClient } from "./client.ts";
import { sleep, type Clock } from "./clock.ts";
import { collectionPath, LEASES, objectPath, type ObjectName } from "./resource.ts";

export interface LeaseTimings {
  /** Others may take the lease when it has not been renewed for this long. */
  readonly durationMs: number;
  /** The holder stops writing when it could not renew for this long; below `durationMs`. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
}

/** As the control plane's own components have them. */
export const LEASE_TIMINGS: LeaseTimings = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

export interface LeaderElectionOptions {
  readonly client: ApiClient;
  readonly lease: ObjectName;
  /** Unique to this process. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timings?: LeaseTimings;
  readonly onStarted: () => void;
  readonly onStopped: () => void;
  readonly onError: (error: unknown) => void;
}

interface LeaseObject {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseTransitions?: number;
    readonly acquireTime?: string;
    readonly leaseDurationSeconds?: number;
  };
}

/**
 * Leader election by a Lease. Expiry is judged by this machine's monotonic clock, counted from when a version of the
 * Lease was first seen: clocks of two machines are never compared.
 */
export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #timings: LeaseTimings;
  /** When the last successful renewal was *sent*: its answer may have taken long. */
  #renewedAt: number | undefined;
  #observed: { readonly version: string; readonly at: number } | undefined;
  #leading = false;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#timings = options.timings ?? LEASE_TIMINGS;
  }

  /** Whether this process may write now. Turns false by the clock alone, before anybody else may take the lease. */
  isLeader(): boolean {
    if (this.#renewedAt === undefined) return false;
    return this.#options.clock.monotonic() - this.#renewedAt < this.#timings.renewDeadlineMs;
  }

  /** Takes part until `signal` is aborted, then gives the lease back. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, onError } = this.#options;
    const { retryMs } = this.#timings;
    while (!signal.aborted) {
      try {
        await this.#tryOnce(signal);
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
      this.#announce();
      // Spread, so that candidates do not meet again and again.
      await sleep(clock, retryMs * (1 + (this.#leading ? 0 : random() * 0.2)), signal);
    }
    await this.#release();
  }

  async #tryOnce(signal: AbortSignal): Promise<void> {
    const { client, lease, identity, clock } = this.#options;
    const timeoutMs = this.#timings.renewDeadlineMs / 2;
    const sentAt = clock.monotonic();
    const found = await this.#read(signal, timeoutMs);
    if (found === undefined) {
      await client.request({
        method: "POST",
        path: collectionPath(LEASES, lease.namespace),
        body: this.#body(undefined),
        signal,
        timeoutMs,
      });
      this.#renewed(sentAt);
      return;
    }
    const { holderIdentity, leaseDurationSeconds } = found.spec ?? {};
    const { resourceVersion } = found.metadata;
    if (this.#observed?.version !== resourceVersion) this.#observed = { version: resourceVersion, at: sentAt };
    const held = holderIdentity !== undefined && holderIdentity !== null && holderIdentity !== "";
    const durationMs = (leaseDurationSeconds ?? this.#timings.durationMs / 1000) * 1000;
    const expired = clock.monotonic() - this.#observed.at >= durationMs;
    if (held && holderIdentity !== identity && !expired) {
      this.#renewedAt = undefined;
      return;
    }
    // The resource version makes it a compare-and-swap: of two candidates one gets a 409.
    await client.request({
      method: "PUT",
      path: objectPath(LEASES, lease),
      body: this.#body(found),
      signal,
      timeoutMs,
    });
    this.#renewed(sentAt);
  }

  async #read(signal: AbortSignal, timeoutMs: number): Promise<LeaseObject | undefined> {
    const { client, lease } = this.#options;
    return (await find(client, LEASES, lease, { signal, timeoutMs })) as LeaseObject | undefined;
  }

  #body(found: LeaseObject | undefined, holder = this.#options.identity): unknown {
    const { lease, clock } = this.#options;
    const now = clock.wall().toISOString().replace("Z", "000Z");
    const same = found?.spec?.holderIdentity === holder;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { ...lease, ...(found && { resourceVersion: found.metadata.resourceVersion }) },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: holder === "" ? 1 : Math.ceil(this.#timings.durationMs / 1000),
        acquireTime: same ? (found.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (found?.spec?.leaseTransitions ?? 0) + (same || found === undefined ? 0 : 1),
      },
    };
  }

  #renewed(sentAt: number): void {
    // A lapse that ends here is told first: what was to be written meanwhile was not, and has to be looked at again.
    this.#announce();
    this.#renewedAt = sentAt;
  }

  #announce(): void {
    const leads = this.isLeader();
    if (leads === this.#leading) return;
    this.#leading = leads;
    if (leads) this.#options.onStarted();
    else this.#options.onStopped();
  }

  /** So that the next leader need not wait for the lease to expire. */
  async #release(): Promise<void> {
    const held = this.isLeader();
    this.#renewedAt = undefined;
    this.#announce();
    if (!held) return;
    const signal = AbortSignal.timeout(2_000);
    try {
      const found = await this.#read(signal, 2_000);
      if (found?.spec?.holderIdentity !== this.#options.identity) return;
      await this.#options.client.request({
        method: "PUT",
        path: objectPath(LEASES, this.#options.lease),
        body: this.#body(found, ""),
        signal,
      });
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
