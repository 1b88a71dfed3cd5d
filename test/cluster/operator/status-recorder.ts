import type { ApiClient } from "../../../operator/kube/client.ts";
import { SYSTEM_CLOCK } from "../../../operator/kube/clock.ts";
import { Reflector } from "../../../operator/kube/reflector.ts";
import { SEGMENT_POLICIES } from "../../../operator/kube/resource.ts";
import { assertStatusContract, type ShownPolicy } from "./status-contract.ts";

/** Keeps every SegmentPolicy the API server shows, in order. */
export class StatusRecorder {
  readonly #shown: (ShownPolicy | "gap")[] = [];
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(client: ApiClient) {
    const reflector = new Reflector<ShownPolicy>({
      client, resource: SEGMENT_POLICIES, clock: SYSTEM_CLOCK, random: Math.random,
      parse: (object) => object as ShownPolicy,
      onBatch: (changes) => {
        for (const change of changes) if (change.type === "set") this.#shown.push(change.object);
      },
      backoff: { firstMs: 100, mostMs: 500 },
      // The API server was away: what it shows next need not be what came next.
      onError: () => this.#shown.push("gap"),
    });
    this.#running = reflector.run(this.#stop.signal);
  }

  /** @returns how many were looked at. @throws AssertionError for the first that breaks the contract */
  assertContract(): number {
    const last = new Map<string, ShownPolicy>();
    let looked = 0;
    for (const policy of this.#shown) {
      if (policy === "gap") {
        last.clear();
        continue;
      }
      assertStatusContract(policy, last.get(policy.metadata.uid));
      last.set(policy.metadata.uid, policy);
      looked += 1;
    }
    return looked;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
