import assert from "node:assert/strict";
import { nftMarkBits } from "../../../operator/enforcer/netfilter/nft-mark-bits.ts";

const ALL = 0xffffffff;

describe("bits of the connection mark that native rules use", () => {
  const rows: readonly (readonly [rule: string, bits: number])[] = [
    ["ip saddr 10.0.0.1 accept", 0],
    ["ct mark 0x1 accept", ALL],
    ["ct mark and 0xff == 0x1 accept", 0xff],
    ["ct mark & 0xff != 0x1 accept", 0xff],
    ["ct mark set 0x1", ALL],
    ["ct mark set meta mark", ALL],
    ["ct mark set ct mark or 0x100", 0x100],
    ["ct mark set ct mark and 0xffff00ff", 0xff00],
    ["ct mark set ct mark & 0xffff00ff | 0x10000", 0x1ff00],
    // As iptables-nft writes `-j CONNMARK --set-xmark 0x10000/0xffff0000`, `--set-mark 0x3/0x1` and a copy to the mark.
    ["counter packets 0 bytes 0 ct mark set ct mark xor 0x10000 and 0xffff", 0xffff0000],
    ["counter packets 0 bytes 0 ct mark set ct mark xor 0x3 and 0xfffffffe", 0x3],
    ["counter packets 0 bytes 0 meta mark set ct mark and 0xff00", 0xff00],
    ["meta mark set ct mark", ALL],
    ["ct mark set ct mark and 0xff or meta mark", ALL],
    ["ct mark and 0xff == 0x1 ct mark set 0x5", ALL],
  ];
  for (const [rule, bits] of rows) {
    it(`${rule}: 0x${bits.toString(16)}`, () => {
      const listed = `table ip mangle {\n\tchain PREROUTING {\n\t\t${rule}\n\t}\n}\n`;
      assert.equal(nftMarkBits(listed), bits);
    });
  }

  it("those of our own chains are none of theirs", () => {
    assert.equal(nftMarkBits("table ip filter {\n\tchain TW-FWD {\n\t\tct mark set 0x1\n\t}\n}\n"), 0);
  });
});
