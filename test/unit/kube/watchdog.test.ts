import assert from "node:assert/strict";
import { Watchdog } from "../../../operator/kube/watchdog.ts";
import { VirtualClock } from "./virtual-clock.ts";

describe("watchdog", () => {
  it("aborts after the silence, not before", async () => {
    const clock = new VirtualClock();
    const { signal } = new Watchdog(clock, 1000);
    await clock.advance(999);
    assert.equal(signal.aborted, false);
    await clock.advance(1);
    assert.equal(signal.aborted, true);
  });

  it("counts the silence from what was heard last", async () => {
    const clock = new VirtualClock();
    const watchdog = new Watchdog(clock, 1000);
    for (let round = 0; round < 5; round += 1) {
      await clock.advance(700);
      watchdog.heard();
    }
    await clock.advance(999);
    assert.equal(watchdog.signal.aborted, false);
    await clock.advance(1);
    assert.equal(watchdog.signal.aborted, true);
  });

  it("leaves no timer behind when stopped", async () => {
    const clock = new VirtualClock();
    const watchdog = new Watchdog(clock, 1000);
    await clock.advance(700);
    watchdog.heard();
    await clock.advance(700);
    watchdog.stop();
    assert.equal(clock.pending, 0);
    await clock.advance(10_000);
    assert.equal(watchdog.signal.aborted, false);
  });
});
