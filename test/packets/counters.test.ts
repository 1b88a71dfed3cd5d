import assert from "node:assert/strict";
import type { EnforcerSettings } from "../../operator/api/enforcer-settings.ts";
import { EnforcedNode, until } from "./enforced-node.ts";
import { pods } from "./enforcer-cases.ts";
import type { StateDraft } from "./enforcer-state.ts";
import { tell } from "./faults/scene.ts";

const DROPPED = "tierwall_dropped_packets_total";
const WOULD_DROP = 'tierwall_would_drop_packets_total{policy="alone",tier="",direction="Ingress"}';
/** More each time: a count that begins again is then not told from one that went on by being smaller than before. */
const ROUNDS = [2, 5, 9, 14];

const ISOLATED: StateDraft = { pods: pods({ db: { ingress: ["alone"] } }), policies: { alone: {} } };
const AUDITED: StateDraft = {
  pods: pods({ db: { audits: [{ policy: "alone", ingress: ["alone"] }] } }), policies: { alone: {} },
};
const OPEN: StateDraft = { pods: pods({}) };

for (const backend of ["nft", "legacy"] as const) {
  describe(`counters, where the chain that counts is written anew (${backend})`, function () {
    this.timeout(60_000);
    let node: EnforcedNode;
    let generation = 0;

    beforeEach(async () => {
      node = await EnforcedNode.create();
      await node.startOperator({ backend });
      node.start();
    });
    afterEach(() => node.remove());

    /** @param settings of an operator that follows the one there is */
    async function enforce(state: StateDraft, settings?: Partial<EnforcerSettings>): Promise<void> {
      if (settings !== undefined) {
        await node.stopOperator();
        await node.startOperator({ backend, ...settings });
      }
      await node.enforce(state, (generation += 1));
    }

    async function saved(): Promise<string> {
      return await node.network.inNode(`iptables-${backend}-save`, "-c", "-t", "filter");
    }

    /** What the last rule of the chain has counted; `undefined` = there is no such chain. */
    async function held(chain: string): Promise<number | undefined> {
      const counts = [...(await saved()).matchAll(new RegExp(`^\\[(\\d+):\\d+\\] -A ${chain}(?: |$)`, "gm"))];
      const last = counts.at(-1)?.[1];
      return last === undefined ? undefined : Number(last);
    }

    /** @returns how many packets the chain has counted of so many connections */
    async function send(probes: number, outcome: "dropped" | "open", chain: string): Promise<number> {
      const before = (await held(chain)) ?? 0;
      const outcomes = await Promise.all(Array.from({ length: probes }, () => node.probe()));
      assert.deepEqual(new Set(outcomes), new Set([outcome]));
      const counted = ((await held(chain)) ?? 0) - before;
      assert.ok(counted >= probes, `${counted} of ${probes} that were sent`);
      return counted;
    }

    it("dropped packets: none is forgotten when they are logged otherwise", async () => {
      const chain = "TW-DROP";
      const told: number[] = [];
      let dropped = 0;
      for (const [round, probes] of ROUNDS.entries()) {
        // A line that is another one: where one is only added, the chain and its counts stay.
        await enforce(ISOLATED, { logDrops: "All", logPerSecond: round + 1 });
        assert.match(await saved(), new RegExp(`-A ${chain} .*--limit ${round + 1}/sec .*-j NFLOG`));
        assert.equal(await held(chain), 0, "the chain is a new one");
        dropped += await send(probes, "dropped", chain);
        told.push((await node.metrics()).get(DROPPED) ?? 0);
        assert.equal(told.at(-1), dropped, `told ${told.join(", ")}`);
        // Nobody has asked for these when the chain is written anew.
        dropped += await send(1, "dropped", chain);
      }
      tell(backend, `${dropped} packets dropped, told ${told.join(", ")}`);
    });

    it("packets that would be dropped: none is forgotten when an audit ends and comes back", async () => {
      const chain = "TW-AR\\S*";
      const told: number[] = [];
      let counted = 0;
      for (const probes of ROUNDS) {
        await enforce(AUDITED);
        assert.equal(await held(chain), 0, "the chain is a new one");
        counted += await send(probes, "open", chain);
        told.push((await node.metrics()).get(WOULD_DROP) ?? 0);
        assert.equal(told.at(-1), counted, `told ${told.join(", ")}`);
        // Nobody has asked for these when the chain goes.
        counted += await send(1, "open", chain);
        await enforce(OPEN);
        await until("the chain being swept", async () => ((await held(chain)) === undefined ? true : undefined));
      }
      tell(backend, `${counted} packets would be dropped, told ${told.join(", ")}`);
    });
  });
}
