import assert from "node:assert/strict";

import fc from "fast-check";

import { parseAddress, parseNetwork } from "../../../operator/api/address.ts";
import { mergeAddresses, networkText, nodeAddresses } from "../../../operator/compile/address-blocks.ts";

function merged(...texts: readonly string[]): readonly string[] {
  return mergeAddresses(texts.flatMap((text) => parseAddress(text) ?? [])).map(networkText);
}

describe("merging addresses into CIDRs", () => {
  const cases: readonly { name: string; given: readonly string[]; expected: readonly string[] }[] = [
    { name: "nothing", given: [], expected: [] },
    { name: "one address, however often", given: ["10.0.0.1", "10.0.0.1"], expected: ["10.0.0.1/32"] },
    { name: "an aligned pair", given: ["10.0.0.5", "10.0.0.4"], expected: ["10.0.0.4/31"] },
    { name: "a pair across a boundary", given: ["10.0.0.5", "10.0.0.6"], expected: ["10.0.0.5/32", "10.0.0.6/32"] },
    { name: "a run that fits no block", given: ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"], expected: ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/32"] },
    { name: "both ends of IPv4", given: ["0.0.0.0", "255.255.255.255", "255.255.255.254"], expected: ["0.0.0.0/32", "255.255.255.254/31"] },
    { name: "both families, IPv4 first", given: ["fd00::1", "fd00::", "10.0.0.1"], expected: ["10.0.0.1/32", "fd00::/127"] },
    { name: "the last of IPv6", given: ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], expected: ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"] },
  ];
  for (const { name, given, expected } of cases) it(name, () => assert.deepEqual(merged(...given), expected));

  it("loses none, adds none, and leaves no two blocks that would be one", () => {
    fc.assert(fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 255 })), (numbers) => {
      const blocks = merged(...numbers.map((number) => `10.0.0.${number}`)).flatMap((cidr) => parseNetwork(cidr) ?? []);
      const size = ({ length }: { readonly length: number }) => 2 ** (32 - length);
      const held = blocks.flatMap((block) => Array.from({ length: size(block) }, (_, index) => Number(block.base % 256n) + index));
      assert.deepEqual(held, numbers.toSorted((a, b) => a - b));
      for (const [index, block] of blocks.entries()) {
        const next = blocks[index + 1];
        const joins = next?.length === block.length && block.base % BigInt(2 * size(block)) === 0n
          && block.base + BigInt(size(block)) === next.base;
        assert.ok(!joins, "two blocks are the halves of one");
      }
    }));
  });

  it("takes what overlays send from: the network and the first address of each pod network", () => {
    const node = { addresses: ["192.168.0.4", "node-a.example.com"], podCIDRs: ["10.244.3.0/24", "fd00:3::/64", "10.9.9.9/32", "none"] };
    assert.deepEqual(mergeAddresses(nodeAddresses(node)).map(networkText), ["10.9.9.9/32", "10.244.3.0/31", "192.168.0.4/32", "fd00:3::/127"]);
  });
});
