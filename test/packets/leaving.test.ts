import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { EnforcedNode, ENFORCER } from "./enforced-node.ts";
import { HOSTS, pods } from "./enforcer-cases.ts";
import type { StateDraft } from "./enforcer-state.ts";
import { addForeignRules, allRules, copyOursToLegacy } from "./foreign-rules.ts";

const [WEB] = HOSTS.web;
const DENIED: StateDraft = { pods: pods({ db: { ingress: ["db"] } }), policies: { db: {} } };
/** Of both families and all kinds of sets, with what pods send to their node. */
const RICH: StateDraft = {
  pods: {
    ...pods({ db: { ingress: ["db"] }, web: { egress: ["web"] } }),
    six: { address: "fd00:77::2", ingress: ["six"] },
  },
  policies: {
    db: { ingress: [{ peers: ["webs"], ports: [{ protocol: "TCP", port: 80 }] }] },
    web: {
      egress: [
        { peers: [{ cidr: "10.77.0.0/16", except: ["10.77.9.0/24"] }] },
        { peers: [], ports: [], endpoints: ["sql"] },
      ],
    },
    six: { ingress: [{ peers: ["sixes"] }] },
  },
  peers: { webs: [WEB, "10.77.9.9"], sixes: ["fd00:77::9"], sql: ["10.77.9.9,tcp:5432"] },
};
/** What `RICH` is to make of a node: there must be something to take away. */
const PARTS = [/^-A INPUT .*-j TW-LOC$/m, /^create TW-\S+ hash:ip family inet6/m, /^create TW-\S+ hash:ip,port/m];

describe("leaving a node", function () {
  this.timeout(60_000);
  let node: EnforcedNode;
  let before: string;

  beforeEach(async () => {
    node = await EnforcedNode.create();
    await addForeignRules(node.network);
    before = await allRules(node.network);
    await node.startOperator({ nodeTraffic: "Enforce", diskCopyMs: 50 });
    node.start();
    await node.enforce(RICH, 1);
    await node.calm();
    const ours = await allRules(node.network);
    for (const part of PARTS) assert.match(ours, part);
  });
  afterEach(() => node.remove());

  function cleanUp(): Promise<string> {
    const args = ["cleanup", `--state-directory=${node.stateDirectory}`];
    return node.network.inNode(process.execPath, ENFORCER, ...args);
  }

  describe("by hand", () => {
    it("takes all of ours out of both backends and families, and nothing else; once more changes nothing", async () => {
      await node.kill("SIGTERM");
      await copyOursToLegacy(node.network);
      const said = await cleanUp();
      assert.match(said, /^removed [1-9]\d+ chains, [1-9]\d* sets and the disk copy\n$/);
      assert.equal(await allRules(node.network), before);
      assert.deepEqual(await readdir(node.stateDirectory), []);
      assert.equal(await cleanUp(), "removed 0 chains, 0 sets and no disk copy\n");
      assert.equal(await allRules(node.network), before);
    });

    it("drops nothing on the way that was allowed", async () => {
      await node.kill("SIGTERM");
      const outcomes = await node.probeWhile(cleanUp);
      assert.ok(outcomes.length > 100);
      assert.deepEqual(new Set(outcomes), new Set(["open"]), `${outcomes.length} probes`);
    });

    it("fails, and says why, where something of ours stays", async () => {
      await node.kill("SIGTERM");
      await node.network.inNode("iptables-nft", "-A", "KUBE-FORWARD", "-s", "198.18.0.1", "-j", "TW-DROP");
      await assert.rejects(cleanUp(), { code: 1, stderr: /^tierwall-enforcer: iptables-nft-restore/ });
      assert.equal(await node.probe(), "open", "the jump is gone all the same");
    });
  });

  describe("on the operator's word", () => {
    async function retired(): Promise<void> {
      await node.stopOperator();
      await node.startOperator({ retiring: true });
      const status = await node.untilStatus(({ conditions: [ready] }) => ready?.reason === "Retired");
      const { conditions, policies, pods: count, rules, sets } = status;
      assert.deepEqual(conditions.map((condition) => [condition.type, condition.status]), [["Ready", "False"]]);
      assert.deepEqual([policies, count, rules, sets], [[], 0, { ipv4: 0, ipv6: 0 }, 0]);
    }

    it("takes all of ours away and drops nothing on the way that was allowed, says so, and leaves it so", async () => {
      const outcomes = await node.probeWhile(retired);
      assert.ok(outcomes.length > 100);
      assert.deepEqual(new Set(outcomes), new Set(["open"]), `${outcomes.length} probes`);
      assert.equal(await allRules(node.network), before);
      assert.deepEqual(await readdir(node.stateDirectory), []);
      await sleep(1_500);
      assert.equal(await allRules(node.network), before);
    });

    it("also takes away what an enforcer finds that starts only then", async () => {
      await node.kill("SIGKILL");
      await copyOursToLegacy(node.network);
      node.start();
      await retired();
      assert.equal(await allRules(node.network), before);
      assert.deepEqual(await readdir(node.stateDirectory), []);
    });

    it("can be taken back", async () => {
      await retired();
      assert.equal(await node.probe(), "open");
      await node.stopOperator();
      await node.startOperator({ diskCopyMs: 50 });
      await node.enforce(DENIED, 2);
      assert.equal(await node.probe(), "dropped");
    });
  });
});
