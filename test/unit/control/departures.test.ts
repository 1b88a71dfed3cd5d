import assert from "node:assert/strict";

import { Departures } from "../../../operator/control/departures.ts";

describe("departures", () => {
  let now = 0;
  const departed = () => {
    now = 0;
    const departures = new Departures(() => now);
    departures.leave("shop");
    return departures;
  };
  const never = () => assert.fail("it is not asked");

  it("has nothing to say of who never left, or of whom nothing is left", () => {
    assert.equal(new Departures(() => now).comeBack("shop", never), 0);
    const departures = departed();
    departures.end("shop");
    assert.equal(departures.comeBack("shop", never), 0);
  });

  it("lets one back at once where nothing outdated is left, and asks no more", () => {
    const departures = departed();
    assert.equal(departures.comeBack("shop", () => false), 0);
    assert.equal(departures.comeBack("shop", never), 0);
  });

  it("waits while something outdated is left, and not for ever", () => {
    const departures = departed();
    assert.equal(departures.comeBack("shop", () => true), 10_000);
    now = 9_999;
    assert.equal(departures.comeBack("shop", () => true), 1);
    now = 10_000;
    assert.equal(departures.comeBack("shop", () => true), 0);
  });

  it("counts from the return, also of one that leaves again meanwhile", () => {
    const departures = departed();
    now = 60_000;
    assert.equal(departures.comeBack("shop", () => true), 10_000);
    now = 65_000;
    departures.leave("shop");
    assert.equal(departures.comeBack("shop", () => true), 10_000);
  });
});
