import assert from "node:assert/strict";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { UNKNOWN_HOST } from "../../../operator/enforcer/host.ts";
import { NodeFirewall } from "../../../operator/enforcer/node-firewall.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";

const STATE = nodeState({
  pods: { db: { address: "10.1.0.5", ingress: ["db"] } },
  policies: { db: { ingress: [{ peers: ["peers"] }] } },
  peers: { peers: ["10.2.0.1"] },
});

/** What may stand in the kernel under the name of a set of ours, whoever has put it there. */
const STRANGERS: readonly (readonly [string, string])[] = [
  ["with room for less", "hash:ip family inet maxelem 65536"],
  ["whose members end", "hash:ip family inet maxelem 1048576 timeout 60"],
  ["of networks", "hash:net family inet maxelem 1048576"],
  ["of the other family", "hash:ip family inet6 maxelem 1048576"],
  ["of sets", "list:set size 8"],
];

describe("a set that stands under the name of one of ours", () => {
  const { signal } = new AbortController();

  async function settledOn(kernel: FakeNetfilter): Promise<void> {
    const firewall = new NodeFirewall({
      netfilter: (backend) => (backend === "nft" ? kernel : new FakeNetfilter()),
      chooseBackend: async () => "nft",
      host: { look: async () => UNKNOWN_HOST, bridges: async () => false },
      monotonic: () => 0,
    });
    await firewall.prepare({ ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: [] }, signal);
    await firewall.apply(STATE, signal);
    // Chains, then sets.
    for (let round = 0; round < 3; round += 1) await firewall.sweep(signal);
    assert.equal((await firewall.verify(STATE, signal)).wrote, false, "nothing is left to do");
  }

  async function assertEnforced(kernel: FakeNetfilter, name: string): Promise<void> {
    const { chains, sets } = await kernel.read("ipv4");
    assert.deepEqual([...sets], [[`${name}-1`, { type: "hash:ip", members: new Set(["10.2.0.1"]) }]]);
    const lookups = [...chains.values()].flat().filter((line) => line.includes("--match-set"));
    assert.ok(lookups.length > 0 && lookups.every((line) => line.includes(`--match-set ${name}-1 `)));
  }

  /** A kernel that holds the state, and what its set is called. */
  async function enforced(): Promise<{ readonly kernel: FakeNetfilter; readonly name: string }> {
    const kernel = new FakeNetfilter();
    await settledOn(kernel);
    const [name = ""] = (await kernel.read("ipv4")).sets.keys();
    return { kernel, name };
  }

  for (const [what, made] of STRANGERS) {
    it(`gives way to another one: a set ${what}`, async () => {
      const { name } = await enforced();
      const kernel = new FakeNetfilter();
      await kernel.restoreSets(`create ${name} ${made}\n`);
      await settledOn(kernel);
      await assertEnforced(kernel, name);
    });

    it(`gives way also where rules refer to it: a set ${what}`, async () => {
      const before = await enforced();
      const kernel = new FakeNetfilter();
      await kernel.restoreSets(`create ${before.name} ${made}\n`);
      const { chains, hooks } = await before.kernel.read("ipv4");
      await kernel.restoreRules("ipv4", [
        "*filter",
        ...[...chains.keys()].map((chain) => `:${chain} - [0:0]`),
        ...[...chains].flatMap(([chain, lines]) => lines.map((line) => `-A ${chain} ${line}`)),
        ...(hooks.get("FORWARD")?.lines ?? []).map((line) => `-A FORWARD ${line}`),
        "COMMIT",
        "",
      ].join("\n"));
      await settledOn(kernel);
      await assertEnforced(kernel, before.name);
    });
  }
});
