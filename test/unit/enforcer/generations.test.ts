import assert from "node:assert/strict";
import { Generations } from "../../../operator/enforcer/generations.ts";
import { fieldValue } from "../../../operator/enforcer/render/marks.ts";

const MASK = 0xffff0000;
const { signal } = new AbortController();

/** What connections hold, and every look at them. */
class Tracked {
  readonly values = new Set<number>();
  readonly looks: string[] = [];
  failing = false;

  readonly isHeld = async (marks: string): Promise<boolean> => {
    this.looks.push(marks);
    if (this.failing) throw new Error("conntrack is not there");
    const [value = 0, mask = 0] = marks.split("/").map(Number);
    return this.values.values().some((held) => (((held << 16) & mask) >>> 0) === value);
  };
}

describe("Generations", () => {
  it("are each value in its turn, and those that a connection carries are left out", async () => {
    const tracked = new Tracked();
    for (const value of [3, 5, 6, 70]) tracked.values.add(value);
    const generations = new Generations(MASK, 0, tracked.isHeld);
    const found: number[] = [];
    for (let index = 0; index < 70; index += 1) found.push(await generations.next(signal));
    const free = Array.from({ length: 80 }, (_, index) => index + 1).filter((value) => !tracked.values.has(value));
    assert.deepEqual(found, free.slice(0, 70));
  });

  it("are looked for many at a time", async () => {
    const tracked = new Tracked();
    const generations = new Generations(MASK, 63, tracked.isHeld);
    for (let value = 64; value < 96; value += 1) assert.equal(await generations.next(signal), value);
    assert.deepEqual(tracked.looks, ["0x400000/0xffe00000"]);
  });

  it("go round without the values for `no verdict` and `denied`", async () => {
    const generations = new Generations(MASK, 0xfffc, new Tracked().isHeld);
    const found = [await generations.next(signal), await generations.next(signal), await generations.next(signal)];
    assert.deepEqual(found, [0xfffd, 0xfffe, 1]);
    const asked = new Tracked();
    const narrow = new Generations(0xff00, 0xdf, asked.isHeld);
    for (let index = 0; index < 31; index += 1) await narrow.next(signal);
    assert.equal(await narrow.next(signal), 1);
    const [, mask = 0] = (asked.looks[0] ?? "").split("/").map(Number);
    assert.equal(fieldValue(mask, 0xff00), 0xf0, "0xff is not among those that were looked for");
  });

  it("are there before they are needed", async () => {
    const tracked = new Tracked();
    const generations = new Generations(MASK, 31, tracked.isHeld);
    generations.refill(signal);
    await new Promise(setImmediate);
    assert.equal(tracked.looks.length, 1);
    // What begins to be held now is held by nobody's verdict: the value was free when it was looked for.
    assert.equal(await generations.next(signal), 32);
    generations.refill(signal);
    assert.equal(tracked.looks.length, 1, "there are enough");
  });

  it("are said to be used up where connections carry all of them", async () => {
    let looks = 0;
    const all = new Generations(0xff00, 7, async () => {
      looks += 1;
      return true;
    });
    await assert.rejects(all.next(signal), /carry each of the 254 values .* 0xff00: give the setting connmark\.mask more bits/);
    assert.ok(looks < 2_000, `${looks} looks`);
    const one = new Tracked();
    for (let value = 1; value <= 254; value += 1) if (value !== 100) one.values.add(value << 8 >> 8);
    const found = new Generations(0xff0000, 101, one.isHeld);
    assert.equal(await found.next(signal), 100, "one is left, the last that is looked at");
  });

  it("are looked for again after a failure, which is said to who waits", async () => {
    const tracked = new Tracked();
    tracked.failing = true;
    const generations = new Generations(MASK, 31, tracked.isHeld);
    generations.refill(signal);
    await assert.rejects(generations.next(signal), /conntrack is not there/);
    tracked.failing = false;
    assert.equal(await generations.next(signal), 32);
  });
});
