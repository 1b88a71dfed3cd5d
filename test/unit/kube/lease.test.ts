import assert from "node:assert/strict";

import type { ApiClient } from "../../../operator/kube/client.ts";
import { sleep } from "../../../operator/kube/clock.ts";
import { LeaderElection } from "../../../operator/kube/lease.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A candidate alone with an API server that takes `answerMs` for each answer. */
class Candidate {
  readonly clock = new VirtualClock();
  readonly told: string[] = [];
  readonly #stop = new AbortController();
  readonly #lease: LeaderElection;
  answerMs = 0;
  /** Whether it led, at every tenth of a second. */
  readonly led: boolean[] = [];

  constructor() {
    let lease = { metadata: { resourceVersion: "1" }, spec: {} };
    const client: ApiClient = {
      request: async ({ method, body }) => {
        await sleep(this.clock, this.answerMs, this.#stop.signal);
        if (method !== "PUT") return lease;
        const version = String(Number(lease.metadata.resourceVersion) + 1);
        lease = { ...(body as typeof lease), metadata: { resourceVersion: version } };
        return lease;
      },
      stream: () => assert.fail("a lease is not watched"),
    };
    this.#lease = new LeaderElection({
      client, clock: this.clock, lease: { namespace: "ns", name: "lease" }, identity: "one", random: () => 0,
      onStarted: () => void this.told.push("started"), onStopped: () => void this.told.push("stopped"),
      onError: (error) => assert.fail(String(error)),
    });
    void this.#lease.run(this.#stop.signal);
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      await this.clock.advance(100);
      this.led.push(this.#lease.isLeader());
    }
  }

  stop(): void {
    this.#stop.abort();
  }
}

describe("leader election", () => {
  let candidate: Candidate;
  beforeEach(() => void (candidate = new Candidate()));
  afterEach(() => candidate.stop());

  it("says once that it leads, as long as it renews in time", async () => {
    candidate.answerMs = 1_000;
    await candidate.pass(60_000);
    assert.deepEqual([candidate.told, candidate.led.lastIndexOf(false) < 30], [["started"], true]);
  });

  it("says a lapse that ends by its own renewal: what came meanwhile was not written", async () => {
    await candidate.pass(5_000);
    // Both answers come within the 5 s that each may take, and later than the 10 s since the last renewal was sent.
    candidate.answerMs = 4_900;
    await candidate.pass(20_000);
    candidate.answerMs = 0;
    await candidate.pass(20_000);
    const turns = candidate.led.filter((leads, index) => leads !== (candidate.led[index - 1] ?? false));
    assert.deepEqual(candidate.told, turns.map((leads) => (leads ? "started" : "stopped")));
    assert.deepEqual(candidate.told.slice(0, 3), ["started", "stopped", "started"]);
  });
});
