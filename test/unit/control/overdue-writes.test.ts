import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { Overdue, OverdueWrites } from "../../../operator/control/overdue-writes.ts";
import { VirtualClock } from "../kube/virtual-clock.ts";

const LONG_MS = 10_000;

/** Writes that are answered when the test says so. */
function scene() {
  const clock = new VirtualClock();
  const writes = new OverdueWrites(clock);
  const sent: PromiseWithResolvers<string>[] = [];
  /** @returns what has become of the write by now; `undefined` while somebody waits for it */
  const write = (namespace: string): (() => unknown) => {
    let outcome: unknown;
    const send = () => {
      const answer = Promise.withResolvers<string>();
      sent.push(answer);
      return answer.promise;
    };
    void writes.write(namespace, send).then(
      (answer) => void (outcome = answer),
      (error: unknown) => void (outcome = error),
    );
    return () => outcome;
  };
  return { clock, write, sent };
}

describe("writes that get no answer", () => {
  it("one that is answered in time is what it is", async () => {
    const { write, sent, clock } = scene();
    const [done, refused] = [write("a"), write("a")];
    const error = new Error("quota");
    sent[0]?.resolve("done");
    sent[1]?.reject(error);
    await turn();
    assert.deepEqual([done(), refused()], ["done", error]);
    assert.equal(clock.pending, 0);
  });

  it("holds up nobody for long, and the namespace gets no other until it is answered", async () => {
    const { write, sent, clock } = scene();
    const first = write("a");
    await clock.advance(1_000);
    assert.equal(first(), undefined);
    await clock.advance(LONG_MS);
    assert.ok(first() instanceof Overdue);
    const second = write("a");
    await clock.advance(LONG_MS);
    assert.equal(second(), first());
    assert.equal(sent.length, 1);
  });

  it("does not concern other namespaces", async () => {
    const { write, sent, clock } = scene();
    write("a");
    await clock.advance(LONG_MS);
    const other = write("b");
    sent[1]?.resolve("done");
    await turn();
    assert.equal(other(), "done");
  });

  it("several that were sent before the first was late: all are awaited", async () => {
    const { write, sent, clock } = scene();
    write("a");
    write("a");
    await clock.advance(LONG_MS);
    sent[1]?.resolve("late");
    await turn();
    const next = write("a");
    await clock.advance(LONG_MS);
    assert.ok(next() instanceof Overdue);
    sent[0]?.resolve("later");
    await turn();
    write("a");
    await turn();
    assert.equal(sent.length, 3);
  });

  it("answered late, it lets the next one through, which has time as ever", async () => {
    const { write, sent, clock } = scene();
    write("a");
    await clock.advance(LONG_MS);
    sent[0]?.resolve("late");
    await turn();
    const next = write("a");
    await clock.advance(1_000);
    assert.equal(next(), undefined);
    sent[1]?.resolve("done");
    await turn();
    assert.equal(next(), "done");
  });

  it("answered while somebody has just come, it lets that one through", async () => {
    const { write, sent, clock } = scene();
    write("a");
    await clock.advance(LONG_MS);
    const next = write("a");
    await clock.advance(10);
    sent[0]?.resolve("late");
    await turn();
    sent[1]?.resolve("done");
    await turn();
    assert.equal(next(), "done");
  });

  it("refused late, the next one is given up soon, with the server's words", async () => {
    const { write, sent, clock } = scene();
    write("a");
    await clock.advance(LONG_MS);
    const words = new Error("failed calling webhook");
    sent[0]?.reject(words);
    await turn();
    const next = write("a");
    await clock.advance(1_000);
    assert.equal(next(), words);
    assert.equal(sent.length, 2);
  });

  it("refused late, and the next one answered soon: all is forgotten", async () => {
    const { write, sent, clock } = scene();
    write("a");
    await clock.advance(LONG_MS);
    sent[0]?.reject(new Error("failed calling webhook"));
    await turn();
    write("a");
    sent[1]?.resolve("done");
    await turn();
    const third = write("a");
    await clock.advance(1_000);
    assert.equal(third(), undefined);
  });
});
