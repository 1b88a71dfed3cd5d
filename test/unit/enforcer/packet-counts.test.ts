import assert from "node:assert/strict";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { FamilyFirewall, FamilyRecords } from "../../../operator/enforcer/family-firewall.ts";
import { auditSubjects } from "../../../operator/enforcer/layout/audits.ts";
import type { Extension } from "../../../operator/enforcer/layout/options.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { losesCounts, packetCounts, PacketTotals } from "../../../operator/enforcer/packet-counts.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { PLAN } from "./guarded-pod.ts";

const SUBJECT = { policy: "plan", tier: "db", direction: "Ingress" } as const;

/** Pods that are isolated, and audited by `plan` where it is said. */
function podsAt(addresses: readonly string[], audited = false): NodeState {
  const audits = audited ? { audits: [{ policy: "plan", tier: "db", ingress: ["plan"] }] } : {};
  const pods = addresses.map((address) => [address, { address, ingress: ["db"], ...audits }] as const);
  return nodeState({ pods: Object.fromEntries(pods), policies: { db: {}, plan: {} } });
}

/** A kernel that counts what reaches the end of a chain, and forgets it when the chain is written anew. */
class CountingNetfilter extends FakeNetfilter {
  readonly #counts = new Map<string, number>();
  looks = 0;
  answers = true;

  come(chain: string, packets: number): void {
    this.#counts.set(chain, (this.#counts.get(chain) ?? 0) + packets);
  }

  override async restoreRules(...args: Parameters<FakeNetfilter["restoreRules"]>): Promise<void> {
    await super.restoreRules(...args);
    for (const [, chain = ""] of args[1].matchAll(/^(?::|-F )(\S+)/gm)) this.#counts.delete(chain);
  }

  override async reached(): Promise<ReadonlyMap<string, number>> {
    this.looks += 1;
    if (!this.answers) throw new NetfilterError("ApplyFailed", "iptables-save is broken");
    return new Map(this.#counts);
  }
}

describe("packets that are read while their chain is emptied", () => {
  it("are counted once", async () => {
    const totals = new PacketTotals();
    const { promise, resolve } = Promise.withResolvers<ReadonlyMap<string, number>>();
    await totals.look(async () => new Map([["TW-DROP", 100]]));
    const looking = totals.look(() => promise);
    totals.emptied("*filter\n:TW-DROP - [0:0]\n-A TW-DROP -j DROP\nCOMMIT\n");
    resolve(new Map([["TW-DROP", 100]]));
    await looking;
    await totals.look(async () => new Map([["TW-DROP", 5]]));
    assert.equal(totals.totals.get("TW-DROP"), 105);
  });
});

describe("packets that are counted", () => {
  const { signal } = new AbortController();

  /** @param lacks without bpf the chain that counts drops has a line for each pod */
  async function scene(lacks: ReadonlySet<Extension> = new Set(["bpf"])) {
    const kernel = new CountingNetfilter();
    const records = new FamilyRecords();
    const totals = records.packets;
    const begin = async () => {
      const firewall = new FamilyFirewall(kernel, "ipv4", { ...PLAN, options: { ...DEFAULT_OPTIONS, lacks } }, records);
      await firewall.prepare(signal);
      return firewall;
    };
    const firewall = await begin();
    const counts = async (state: NodeState) => {
      await firewall.count(signal);
      return packetCounts([totals.totals], auditSubjects(state.pods.values()));
    };
    return { kernel, firewall, counts, begin, totals };
  }

  it("are still so when the chain that counts them is written anew, which without bpf a pod that leaves is enough for", async () => {
    const { kernel, firewall, counts } = await scene();
    const [two, one] = [podsAt(["10.1.0.5", "10.1.0.6"]), podsAt(["10.1.0.5"])];
    await firewall.apply(two, signal);
    kernel.come("TW-DROP", 5);
    await firewall.apply(one, signal);
    assert.equal((await kernel.reached()).get("TW-DROP"), undefined, "the kernel has forgotten them");
    // More than before: that they are others does not show in the number.
    kernel.come("TW-DROP", 8);
    assert.equal((await counts(one)).dropped, 13);
    assert.equal((await counts(one)).dropped, 13);
  });

  it("are still so when an audit ends and comes back", async () => {
    const { kernel, firewall, counts } = await scene();
    const audited = podsAt(["10.1.0.5"], true);
    const [chain = ""] = auditSubjects(audited.pods.values()).keys();
    await firewall.apply(audited, signal);
    kernel.come(chain, 7);
    await firewall.apply(podsAt(["10.1.0.5"]), signal);
    for (let round = 0; round < 3; round += 1) await firewall.sweep(signal);
    assert.equal((await kernel.leftovers("ipv4")).chains.has(chain), false, "it is swept up");
    await firewall.apply(audited, signal);
    kernel.come(chain, 9);
    assert.deepEqual((await counts(audited)).wouldDrop, [{ ...SUBJECT, packets: 16 }]);
  });

  it("are not lost where pods come and go, so that nobody needs to read them", async () => {
    const { kernel, firewall } = await scene(new Set());
    await firewall.apply(podsAt(["10.1.0.5", "10.1.0.6"]), signal);
    kernel.come("TW-DROP", 5);
    const { looks } = kernel;
    await firewall.apply(podsAt(["10.1.0.7"]), signal);
    await firewall.apply(podsAt([]), signal);
    assert.equal(kernel.looks, looks);
    assert.equal((await kernel.reached()).get("TW-DROP"), 5);
  });

  it("are read only before they would be lost", async () => {
    const { kernel, firewall } = await scene();
    await firewall.apply(podsAt(["10.1.0.5"]), signal);
    const { looks } = kernel;
    await firewall.apply(podsAt(["10.1.0.5", "10.1.0.6"]), signal);
    await firewall.sweep(signal);
    assert.equal(kernel.looks, looks);
    await firewall.apply(podsAt(["10.1.0.5"]), signal);
    assert.equal(kernel.looks, looks + 1);
  });

  it("hold up no change, whether they cannot be read or the tool hangs", async () => {
    const { kernel, firewall } = await scene();
    await firewall.apply(podsAt(["10.1.0.5", "10.1.0.6"]), signal);
    kernel.answers = false;
    await firewall.apply(podsAt(["10.1.0.5"]), signal);
    kernel.reached = () => new Promise(() => undefined);
    await firewall.apply(podsAt(["10.1.0.5", "10.1.0.6"]), signal);
    const started = performance.now();
    await firewall.apply(podsAt(["10.1.0.6"]), signal);
    assert.ok(performance.now() - started < 1_000);
    assert.equal((await kernel.read("ipv4")).chains.get("TW-DROP")?.filter((line) => line.includes("10.1.0.5")).length, 0);
  });

  it("never go back, whoever empties the chain", async () => {
    const totals = new PacketTotals();
    const seen: number[] = [];
    for (const packets of [4, 9, 2, 2, 12]) {
      await totals.look(async () => new Map([["TW-DROP", packets]]));
      seen.push(totals.totals.get("TW-DROP") ?? 0);
    }
    assert.deepEqual(seen, [4, 9, 11, 11, 21]);
    await totals.look(async () => new Map());
    await totals.look(async () => new Map([["TW-DROP", 12]]));
    assert.equal(totals.totals.get("TW-DROP"), 33, "a chain that was gone began anew");
  });

  it("go on where settings make another firewall of it", async () => {
    const { kernel, firewall, begin, totals } = await scene();
    const state = podsAt(["10.1.0.5"]);
    await firewall.apply(state, signal);
    kernel.come("TW-DROP", 5);
    await firewall.count(signal);
    const next = await begin();
    await next.count(signal);
    assert.equal(totals.totals.get("TW-DROP"), 5);
  });

  it("are read once for all who ask at the same time", async () => {
    const totals = new PacketTotals();
    let looks = 0;
    const reached = async () => {
      looks += 1;
      return new Map([["TW-DROP", 10]]);
    };
    await Promise.all([totals.look(reached), totals.look(reached)]);
    assert.deepEqual([looks, totals.totals.get("TW-DROP")], [1, 10]);
  });

  for (const [text, lost] of [
    ["*filter\n:TW-DROP - [0:0]\n-A TW-DROP -j DROP\nCOMMIT\n", true],
    ["*filter\n-F TW-AR0123\n-X TW-AR0123\nCOMMIT\n", true],
    ["*filter\n:TW-I-b - [0:0]\n-A TW-I-b -g TW-DROP\nCOMMIT\n", false],
    ["*filter\n-I TW-DROP 1 -s 10.1.0.5/32 -d 10.1.0.5/32 -j RETURN\nCOMMIT\n", false],
    ["", false],
  ] as const) {
    it(`${lost ? "would be lost" : "stay"} with ${JSON.stringify(text)}`, () => assert.equal(losesCounts(text), lost));
  }
});
