import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { FakeNetfilter } from "../unit/enforcer/fake-netfilter.ts";
import type { KernelOrder } from "./enforcer-kernel.ts";
import { carryOut } from "./enforcer-kernel.ts";
import type { Worker } from "./enforcer-network.ts";
import { ScratchNetwork } from "./enforcer-network.ts";

const KERNEL = fileURLToPath(new URL("enforcer-kernel.ts", import.meta.url));

const rules = (...lines: readonly string[]): KernelOrder => {
  return { do: "rules", text: ["*filter", ...lines, "COMMIT", ""].join("\n") };
};
const both = (...transactions: readonly (readonly string[])[]): KernelOrder => {
  return { do: "rules", text: transactions.map((lines) => `*filter\n${lines.join("\n")}\nCOMMIT\n`).join("") };
};
const sets = (...lines: readonly string[]): KernelOrder => ({ do: "sets", text: `${lines.join("\n")}\n` });

/** Each order, and what both kernels answer. After each case both hold the same. */
const CONTRACT: readonly (readonly [string, readonly (readonly [KernelOrder, "done" | "refused"])[]])[] = [
  ["holds nothing of ours at first", []],
  ["makes chains and the jump", [[rules(":TW-FWD - [0:0]", "-A TW-FWD -j RETURN", "-I FORWARD 1 -j TW-FWD"), "done"]]],
  [
    "replaces a chain that is declared again, keeps others",
    [[rules(":TW-A - [0:0]", "-A TW-A -j DROP"), "done"], [rules(":TW-FWD - [0:0]", "-A TW-FWD -g TW-A"), "done"]],
  ],
  [
    "inserts lines in their places, counted as they come",
    [
      [rules("-I TW-A 1 -s 10.0.0.1/32 -j RETURN", "-I TW-A 2 -s 10.0.0.2/32 -j RETURN"), "done"],
      [rules("-I TW-A 4 -s 10.0.0.3/32 -j RETURN"), "done"],
      [rules("-I TW-A 9 -j RETURN"), "refused"],
    ],
  ],
  ["refuses a line that refers to no chain", [[rules("-A TW-A -g TW-NONE"), "refused"]]],
  ["refuses a line that refers to no set", [[rules("-A TW-A -m set --match-set TW-none src -j RETURN"), "refused"]]],
  ["applies nothing of a transaction that has one bad line", [[rules("-F TW-A", "-X TW-NONE"), "refused"]]],
  [
    "takes transactions one after the other, up to one that has a bad line",
    [
      [both(["-I TW-A 1 -s 10.0.0.8/32 -j RETURN"], ["-I TW-A 1 -s 10.0.0.9/32 -j RETURN"]), "done"],
      [both(["-D TW-A -s 10.0.0.8/32 -j RETURN"], ["-D TW-A -s 10.0.0.9/32 -j RETURN", "-X TW-NONE"]), "refused"],
    ],
  ],
  ["refuses to remove a chain in use", [[rules("-F TW-A", "-X TW-A"), "refused"]]],
  [
    "takes members, twice too, and lets go of them",
    [
      [sets("create TW-u hash:ip family inet maxelem 1048576", "add TW-u 10.1.2.3", "add TW-u 10.1.2.4"), "done"],
      [sets("create TW-u hash:ip family inet maxelem 1048576", "add TW-u 10.1.2.3", "del TW-u 10.1.2.4"), "done"],
      [sets("del TW-u 10.9.9.9"), "done"],
    ],
  ],
  [
    "keeps exceptions apart from networks",
    [
      [sets("create TW-b hash:net family inet maxelem 1048576", "add TW-b 10.0.0.0/8"), "done"],
      [sets("add TW-b 10.1.0.0/16 nomatch"), "done"],
    ],
  ],
  [
    "refuses to make a set anew as another kind, and shows which kinds there are",
    [
      [sets("create TW-k hash:ip family inet maxelem 65536", "add TW-k 10.1.2.3"), "done"],
      [sets("create TW-k hash:ip family inet maxelem 1048576"), "refused"],
      [sets("create TW-k hash:net family inet maxelem 65536"), "refused"],
      [sets("create TW-k hash:ip family inet6 maxelem 65536"), "done"],
      [sets("add TW-k fd00::1"), "refused"],
      [sets("create TW-s hash:ip family inet6 maxelem 1048576", "add TW-s fd00::1"), "done"],
      [sets("create TW-l list:set size 8"), "done"],
    ],
  ],
  ["destroys sets of all kinds", [[sets("destroy TW-k", "destroy TW-s", "destroy TW-l"), "done"]]],
  ["refuses a member of a set that is not there", [[sets("add TW-none 10.1.2.3"), "refused"]]],
  [
    "refuses to destroy a set that a rule uses, and does when none does",
    [
      [rules("-A TW-A -m set --match-set TW-u src -j RETURN"), "done"],
      [sets("destroy TW-u"), "refused"],
      [sets("destroy TW-b"), "done"],
    ],
  ],
  ["moves the jump", [[rules("-D FORWARD -j TW-FWD", "-I FORWARD 1 -j TW-FWD"), "done"]]],
  ["refuses to delete a jump that is not there", [[rules("-D FORWARD -j TW-A"), "refused"]]],
  [
    "removes all",
    [[rules("-D FORWARD -j TW-FWD", "-F TW-FWD", "-F TW-A", "-X TW-FWD", "-X TW-A"), "done"]],
  ],
];

for (const backend of ["nft", "legacy"] as const) {
  for (const kind of ["cold", "warm"] as const) {
    describe(`the kernel in memory answers as the real one does: ${backend}, ${kind} tools`, function () {
      this.timeout(20_000);
      const fake = new FakeNetfilter();
      let network: ScratchNetwork;
      let kernel: Worker;

      before(async () => {
        network = await ScratchNetwork.create({});
        kernel = await network.worker("node", KERNEL, kind, backend);
      });

      after(async () => await network.remove());

      for (const [name, orders] of CONTRACT) {
        it(name, async () => {
          for (const [order, answer] of orders) {
            assert.equal(await kernel.order(order), answer, "the real one");
            assert.equal(await carryOut(fake, order), answer, "the one in memory");
          }
          assert.deepEqual(await carryOut(fake, { do: "read" }), await kernel.order({ do: "read" }));
        });
      }

      it("knows of no connection that holds a mark", async () => {
        assert.equal(await kernel.order({ do: "holds", mark: "0x10000/0xffff0000" }), false);
      });
    });
  }
}
