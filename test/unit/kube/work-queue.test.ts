import assert from "node:assert/strict";
import { ApiError } from "../../../operator/kube/api-error.ts";
import { WorkQueue, type Result } from "../../../operator/kube/work-queue.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** Runs of a key take as long as the test wants; `log` says when each began and ended, in virtual milliseconds. */
class Bench {
  readonly clock = new VirtualClock();
  readonly log: string[] = [];
  readonly failures: string[] = [];
  readonly done: string[] = [];
  /** How long each run takes. */
  workMs = 0;
  /** What each run ends with; consumed in order, then `{}`. */
  outcomes: (Result | Error)[] = [];
  readonly queue: WorkQueue;

  constructor(workers = 1) {
    this.queue = new WorkQueue({
      workers, clock: this.clock, random: () => 0, backoff: { firstMs: 100, mostMs: 1_000 },
      reconcile: (key) => this.#work(key),
      onError: (key, _error, failures) => void this.failures.push(`${key} #${failures} at ${this.clock.monotonic()}`),
      onDone: (key, result, seconds) => void this.done.push(`${key} ${result} ${seconds}`),
    });
  }

  async #work(key: string): Promise<Result> {
    this.log.push(`${key} at ${this.clock.monotonic()}`);
    const { workMs } = this;
    if (workMs > 0) await new Promise<void>((resolve) => void this.clock.after(workMs, resolve));
    const outcome = this.outcomes.shift() ?? {};
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }
}

function tooManyRequests(retryAfterSeconds: number): ApiError {
  return new ApiError({ status: 429, reason: "", message: "slow down", retryAfterSeconds, method: "GET", path: "/" });
}

describe("work queue: order", () => {
  it("runs a key once for many adds of one turn", async () => {
    const bench = new Bench();
    for (const key of ["a", "b", "a", "a"]) bench.queue.add(key);
    assert.equal(bench.queue.depth, 2);
    await bench.clock.advance(0);
    assert.deepEqual(bench.log, ["a at 0", "b at 0"]);
    assert.equal(bench.queue.depth, 0);
  });

  it("leaves time for others though there is more work after each run", async () => {
    const bench = new Bench();
    const { queue, log } = bench;
    // What a watch has read already comes as soon as it is asked for, without a turn in between.
    for (let count = 0; count < 1_000; count += 1) {
      queue.add("a");
      await undefined;
    }
    assert.deepEqual(log, []);
    await bench.clock.advance(0);
    assert.deepEqual(log, ["a at 0"]);
  });

  it("never runs a key twice at a time, and runs it once more when it was added meanwhile", async () => {
    const bench = new Bench(4);
    bench.workMs = 100;
    bench.queue.add("a");
    await bench.clock.advance(10);
    for (const _ of [1, 2, 3]) bench.queue.add("a");
    await bench.clock.advance(10);
    assert.deepEqual(bench.log, ["a at 0"]);
    await bench.clock.advance(1000);
    assert.deepEqual(bench.log, ["a at 0", "a at 100"]);
  });

  it("runs as many keys at a time as it has workers, in the order of arrival", async () => {
    const bench = new Bench(2);
    bench.workMs = 100;
    for (const key of ["a", "b", "c", "d", "e"]) bench.queue.add(key);
    await bench.clock.advance(1000);
    assert.deepEqual(bench.log, ["a at 0", "b at 0", "c at 100", "d at 100", "e at 200"]);
  });

  it("lets other keys pass one that waits for its own run to end", async () => {
    const bench = new Bench(2);
    bench.workMs = 100;
    bench.queue.add("a");
    await bench.clock.advance(50);
    bench.queue.add("a");
    bench.queue.add("b");
    await bench.clock.advance(1000);
    assert.deepEqual(bench.log, ["a at 0", "b at 50", "a at 100"]);
  });
});

describe("work queue: time", () => {
  it("runs again after requeueAfterMs", async () => {
    const bench = new Bench();
    bench.outcomes = [{ requeueAfterMs: 500 }];
    bench.queue.add("a");
    await bench.clock.advance(5000);
    assert.deepEqual(bench.log, ["a at 0", "a at 500"]);
    assert.deepEqual(bench.done, ["a requeue 0", "a success 0"]);
  });

  const plans: readonly { name: string; after: readonly number[]; runs: readonly string[] }[] = [
    { name: "an earlier time replaces a later one", after: [500, 200], runs: ["a at 200"] },
    { name: "a later time does not replace an earlier one", after: [200, 500], runs: ["a at 200"] },
  ];
  for (const { name, after, runs } of plans) {
    it(name, async () => {
      const bench = new Bench();
      for (const ms of after) bench.queue.addAfter("a", ms);
      await bench.clock.advance(5000);
      assert.deepEqual(bench.log, runs);
    });
  }

  it("doubles the wait after each failure up to its limit, and starts anew after a success", async () => {
    const bench = new Bench();
    const failed = new Error("no");
    bench.outcomes = [failed, failed, failed, failed, failed, failed, {}, failed];
    bench.queue.add("a");
    await bench.clock.advance(4000);
    assert.deepEqual(bench.log, ["a at 0", "a at 100", "a at 300", "a at 700", "a at 1500", "a at 2500", "a at 3500"]);
    assert.equal(bench.failures.at(-1), "a #6 at 2500");
    bench.queue.add("a");
    await bench.clock.advance(1000);
    assert.deepEqual(bench.log.slice(-2), ["a at 4000", "a at 4100"]);
    assert.equal(bench.failures.at(-1), "a #1 at 4000");
  });

  it("counts failures of each key on its own", async () => {
    const bench = new Bench();
    bench.outcomes = [new Error("no"), {}, new Error("no"), new Error("no")];
    bench.queue.add("a");
    bench.queue.add("b");
    await bench.clock.advance(50);
    bench.queue.add("b");
    await bench.clock.advance(55);
    assert.deepEqual(bench.failures, ["a #1 at 0", "b #1 at 50", "a #2 at 100"]);
  });

  it("forgets failures when told to", async () => {
    const bench = new Bench();
    bench.outcomes = [new Error("no"), new Error("no"), new Error("no")];
    bench.queue.add("a");
    await bench.clock.advance(150);
    bench.queue.forget("a");
    await bench.clock.advance(1000);
    assert.deepEqual(bench.log, ["a at 0", "a at 100", "a at 300", "a at 400"]);
    assert.deepEqual(bench.failures, ["a #1 at 0", "a #2 at 100", "a #1 at 300"]);
  });

  it("waits as long as the server asks, if that is longer than its own backoff", async () => {
    const bench = new Bench();
    bench.outcomes = [tooManyRequests(7), tooManyRequests(0)];
    bench.queue.add("a");
    await bench.clock.advance(20_000);
    assert.deepEqual(bench.log, ["a at 0", "a at 7000", "a at 7200"]);
  });

  it("tells how long a run took", async () => {
    const bench = new Bench();
    bench.workMs = 250;
    bench.outcomes = [new Error("no")];
    bench.queue.add("a");
    await bench.clock.advance(1000);
    assert.deepEqual(bench.done, ["a error 0.25", "a success 0.25"]);
  });

  it("survives a reconcile that throws before it returns a promise", async () => {
    const clock = new VirtualClock();
    let runs = 0;
    const queue = new WorkQueue({
      workers: 1, clock, random: () => 0, backoff: { firstMs: 100, mostMs: 100 },
      reconcile: (key) => {
        runs += 1;
        if (runs === 1) throw new Error(key);
        return Promise.resolve({});
      },
      onError: () => undefined,
    });
    queue.add("a");
    await clock.advance(1000);
    assert.equal(runs, 2);
  });
});

describe("work queue: end", () => {
  it("waits for what is running, and starts nothing more", async () => {
    const bench = new Bench();
    bench.workMs = 100;
    bench.outcomes = [{ requeueAfterMs: 10 }];
    for (const key of ["a", "b"]) bench.queue.add(key);
    bench.queue.addAfter("c", 50);
    await bench.clock.advance(10);
    let stopped = false;
    const stop = bench.queue.stop().then(() => { stopped = true; });
    bench.queue.add("d");
    await bench.clock.advance(89);
    assert.equal(stopped, false);
    await bench.clock.advance(1);
    await stop;
    await bench.clock.advance(5000);
    assert.deepEqual(bench.log, ["a at 0"]);
    assert.equal(bench.clock.pending, 0);
  });

  it("ends a failing key too", async () => {
    const bench = new Bench();
    bench.workMs = 100;
    bench.outcomes = [new Error("no")];
    bench.queue.add("a");
    await bench.clock.advance(10);
    const stop = bench.queue.stop();
    await bench.clock.advance(5000);
    await stop;
    assert.deepEqual(bench.log, ["a at 0"]);
    assert.equal(bench.clock.pending, 0);
  });
});
