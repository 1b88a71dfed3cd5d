import assert from "node:assert/strict";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { removeOurs } from "../../../operator/enforcer/removal.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";

const CHAINS = "*filter\n:TW-A - [0:0]\n:TW-B - [0:0]\n-A TW-A -j TW-B\n-I FORWARD 1 -j TW-A\nCOMMIT\n";

describe("removeOurs", () => {
  const { signal } = new AbortController();

  async function kernel(): Promise<FakeNetfilter> {
    const made = new FakeNetfilter();
    for (const family of ["ipv4", "ipv6"] as const) await made.restoreRules(family, CHAINS);
    await made.restoreSets("create TW-u1 hash:ip family inet maxelem 1048576\n");
    return made;
  }

  function traces(...tables: readonly FakeNetfilter[]) {
    const [first] = tables;
    const sets = async () => [...((await first?.read("ipv4"))?.sets.keys() ?? [])];
    return { tables, sets, clock: SYSTEM_CLOCK };
  }

  it("takes everything, and says how much it was", async () => {
    const [one, other] = [await kernel(), await kernel()];
    assert.deepEqual(await removeOurs(traces(one, other), signal), { chains: 8, sets: 1 });
    for (const each of [one, other]) assert.equal((await each.leftovers("ipv6")).chains.size, 0);
  });

  it("does not take rules that cannot be read for none, and removes all others first", async () => {
    const [one, other] = [await kernel(), await kernel()];
    const leftovers = one.leftovers.bind(one);
    one.leftovers = async (family) => {
      if (family === "ipv4") throw new NetfilterError("ApplyFailed", "iptables-save hangs");
      return await leftovers(family);
    };
    other.restoreRules = () => Promise.reject(new NetfilterError("ApplyFailed", "a rule of others leads to TW-A"));
    const message = "iptables-save hangs; a rule of others leads to TW-A";
    await assert.rejects(removeOurs(traces(one, other), signal), { name: "NetfilterError", message });
    assert.equal((await leftovers("ipv4")).chains.size, 2);
    assert.equal((await leftovers("ipv6")).chains.size, 0);
  });
});
