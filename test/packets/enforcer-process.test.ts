import assert from "node:assert/strict";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { output } from "../lab/command.ts";
import { ENFORCER, EnforcedNode, until } from "./enforced-node.ts";
import { pods } from "./enforcer-cases.ts";
import type { StateDraft } from "./enforcer-state.ts";

const DENIED: StateDraft = { pods: pods({ db: { ingress: ["db"] } }), policies: { db: {} } };
const ALLOWED: StateDraft = { ...DENIED, policies: { db: { ingress: [{ peers: "any" }] } } };
/** Long enough for an enforcer that wants to write to have done so. */
const WHILE_MS = 700;

describe("the enforcer's process, from its stream to its SegmentNode", function () {
  this.timeout(60_000);
  let node: EnforcedNode;

  before(async () => {
    node = await EnforcedNode.create();
    await node.startOperator();
  });

  after(() => node?.remove());

  it("enforces what the stream says and confirms it, once its SegmentNode is there", async () => {
    node.start();
    const status = await node.enforce(DENIED, 1);
    assert.equal(await node.probe(), "dropped");
    const [ready] = status.conditions;
    assert.deepEqual([ready?.type, ready?.status, status.pods, status.sets], ["Ready", "True", 3, 0]);
    assert.equal(await node.readiness(), "200");
  });

  it("follows changes", async () => {
    await node.enforce(ALLOWED, 2);
    assert.equal(await node.probe(), "open");
    await node.enforce(DENIED, 3);
    assert.equal(await node.probe(), "dropped");
  });

  it("puts its jump back where it belongs", async () => {
    await node.network.inNode("iptables-nft", "-F", "FORWARD");
    await until("the jump", async () => (await node.rules()).match(/^-A FORWARD .*-j TW-FWD$/m) ?? undefined);
    assert.equal(await node.probe(), "dropped");
  });

  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    it(`leaves the rules in force when it ends by ${signal}, and starts again without writing any`, async () => {
      const before = await node.calm();
      await node.kill(signal);
      assert.equal(await node.rules(), before);
      assert.equal(await node.probe(), "dropped");
      node.start();
      await until("ready", async () => (await node.readiness()) === "200" || undefined);
      await sleep(WHILE_MS);
      assert.equal(await node.rules(), before);
    });
  }

  for (const { tool, kept, reason } of [
    {
      tool: "ipset", kept: ["iptables-nft-save", "iptables-nft-restore", "iptables-legacy-save", "conntrack"],
      reason: "IpsetMissing",
    },
    { tool: "iptables", kept: ["ipset", "conntrack"], reason: "IptablesMissing" },
  ]) {
    it(`says in its SegmentNode that ${tool} is missing, and leaves the rules in force`, async () => {
      await node.kill("SIGTERM");
      const before = await node.rules();
      const tools = await mkdtemp(join(tmpdir(), "tierwall-tools-"));
      try {
        for (const name of kept) await symlink((await output(["which", name])).trim(), join(tools, name));
        node.start([ENFORCER], tools);
        await node.untilNewest((status) => {
          const ready = status.conditions.find(({ type }) => type === "Ready");
          return ready?.status === "False" && ready.reason === reason && ready.message.includes(tool);
        });
        assert.equal(await node.readiness(), "503");
        assert.equal(await node.rules(), before);
        assert.equal(await node.probe(), "dropped");
      } finally {
        await rm(tools, { recursive: true });
      }
    });
  }
});
