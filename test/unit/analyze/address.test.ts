import assert from "node:assert/strict";
import fc from "fast-check";
import { bitsOf, holds } from "../../../operator/analyze/address.ts";

const SAME: readonly (readonly [string, string])[] = [
  ["::", "0:0:0:0:0:0:0:0"],
  ["::1", "0:0:0:0:0:0:0:1"],
  ["fd00::1:2", "FD00:0000:0:0:0:0:0001:2"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
];

const NONE: readonly string[] = [
  "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "+1.2.3.4", "1.2.3.-4", "a.b.c.d", "localhost",
  ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "1:2:3:4::5:6:7:8", "g::",
  "12345::", ":1:2:3:4:5:6:7", "::ffff:1.2.3.4", "fe80::1%eth0", "::/0",
];

const HOLDS: readonly (readonly [string, string, boolean])[] = [
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.0", false],
  ["10.1.2.3/8", "10.9.9.9", true],
  ["10.1.2.3/32", "10.1.2.3", true],
  ["10.1.2.3/32", "10.1.2.2", false],
  ["10.1.2.2/31", "10.1.2.3", true],
  ["0.0.0.0/0", "255.255.255.255", true],
  ["0.0.0.0/0", "::", false],
  ["128.0.0.0/1", "127.255.255.255", false],
  ["::/0", "64:ff9b::1", true],
  ["::/0", "1.2.3.4", false],
  ["fc00::/7", "fdff::1", true],
  ["fc00::/7", "fe00::1", false],
  ["2001:DB8::/33", "2001:db8:7fff::", true],
  ["2001:DB8::/33", "2001:db8:8000::", false],
];

const NO_NETWORK: readonly string[] = [
  "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/8.0", "::/129", "x/8", "/8", "",
];

describe("the evaluator's addresses", () => {
  for (const [one, other] of SAME) {
    it(`${one} is ${other}`, () => assert.equal(bitsOf(one), bitsOf(other)));
  }

  for (const text of NONE) {
    it(`${JSON.stringify(text)} is none`, () => assert.equal(bitsOf(text), undefined));
  }

  for (const [cidr, address, expected] of HOLDS) {
    it(`${cidr} ${expected ? "holds" : "does not hold"} ${address}`, () => {
      assert.equal(holds(cidr, bitsOf(address) ?? ""), expected);
    });
  }

  for (const cidr of NO_NETWORK) {
    it(`${JSON.stringify(cidr)} is no network`, () => assert.equal(holds(cidr, "0".repeat(32)), undefined));
  }

  it("are told apart by every bit", () => {
    fc.assert(fc.property(fc.ipV4(), fc.ipV4(), (one, other) => {
      assert.equal(bitsOf(one)?.length, 32);
      assert.equal(bitsOf(one) === bitsOf(other), one === other);
    }));
    fc.assert(fc.property(fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 }), (groups) => {
      const text = groups.map((group) => group.toString(16)).join(":");
      assert.equal(bitsOf(text), groups.map((group) => group.toString(2).padStart(16, "0")).join(""));
    }));
  });
});
