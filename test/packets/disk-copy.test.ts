import assert from "node:assert/strict";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { diskCopyPath } from "../../operator/enforcer/node-memory.ts";
import { EnforcedNode, until } from "./enforced-node.ts";
import { pods } from "./enforcer-cases.ts";
import type { StateDraft } from "./enforcer-state.ts";

const DENIED: StateDraft = { pods: pods({ db: { ingress: ["db"] } }), policies: { db: {} } };
const ALLOWED: StateDraft = { ...DENIED, policies: { db: { ingress: [{ peers: "any" }] } } };
/** Long enough for an enforcer that wants to write to have done so. */
const WHILE_MS = 1_500;

describe("the disk copy, on a node", function () {
  this.timeout(60_000);
  let node: EnforcedNode;
  let copy: string;

  beforeEach(async () => {
    node = await EnforcedNode.create();
    copy = diskCopyPath(node.stateDirectory);
  });
  afterEach(() => node.remove());

  /** A node that has `state` in force and on disk, and whose operator is gone. */
  async function remembering(state: StateDraft, diskCopyMs = 50): Promise<void> {
    await node.startOperator({ diskCopyMs });
    node.start();
    await node.enforce(state, 1);
    await until("the copy", async () => (await readFile(copy, "utf8").catch(() => "")).includes('"r1"') || undefined);
    await node.calm();
    await node.stopOperator();
  }

  async function startedAndCalm(): Promise<void> {
    node.start();
    await node.untilSaid(/enforcer starts/);
    await sleep(WHILE_MS);
  }

  it("is enforced after a reboot, before anybody has been reached, and then followed up", async () => {
    await remembering(DENIED);
    const before = await node.calm();
    await node.reboot();
    assert.equal(await node.probe(), "open", "nothing is in force");
    node.start();
    await node.untilSaid(/disk copy applied/);
    assert.equal(await node.probe(), "dropped");
    // The generation is another.
    const shape = (rules: string) => rules.replaceAll(/0x[0-9a-f]+/g, "0x");
    assert.equal(shape(await node.calm()), shape(before));
    await node.startOperator();
    const status = await node.untilStatus(() => true);
    const [ready] = status.conditions;
    assert.deepEqual([ready?.status, ready?.reason], ["True", "EnforcingDiskCopy"]);
    assert.match(ready?.message ?? "", /the operator has not been reached yet/);
    assert.deepEqual(status.policies.map(({ name, revision }) => [name, revision]), [["shop", "r1"]]);
    await node.enforce(ALLOWED, 2);
    assert.equal(await node.probe(), "open");
  });

  it("costs no write where the kernel still holds it, and drift is put right without an operator", async () => {
    await remembering(DENIED);
    const before = await node.calm();
    await node.kill("SIGKILL");
    await startedAndCalm();
    assert.equal(await node.rules(), before);
    assert.deepEqual(node.log.filter(({ message }) => /applied|corrected/.test(message)), []);
    await node.network.inNode("iptables-nft", "-F", "TW-I");
    assert.equal(await node.probe(), "open");
    await node.untilSaid(/drift corrected/);
    assert.equal(await node.probe(), "dropped");
  });

  it("does not take the kernel back in time when the enforcer is killed before it has written the newest", async () => {
    await node.startOperator({ diskCopyMs: 60_000 });
    node.start();
    await node.enforce(DENIED, 1);
    await until("the copy", async () => (await readFile(copy, "utf8").catch(() => "")).includes('"r1"') || undefined);
    await node.enforce(ALLOWED, 2);
    await node.stopOperator();
    const before = await node.calm();
    await node.kill("SIGKILL");
    assert.ok((await readFile(copy, "utf8")).includes('"r1"'), "the copy is the older one");
    const outcomes = await node.probeWhile(async () => {
      node.start();
      await node.untilSaid(/newer than the disk copy/);
    });
    assert.deepEqual(new Set(outcomes), new Set(["open"]), `${outcomes.length} probes`);
    assert.equal(await node.rules(), before);
  });

  it("is written to the end when the enforcer is stopped", async () => {
    await node.startOperator({ diskCopyMs: 60_000 });
    node.start();
    await node.enforce(DENIED, 1);
    await node.enforce(ALLOWED, 2);
    await node.kill("SIGTERM");
    assert.ok((await readFile(copy, "utf8")).includes('"r2"'));
    assert.equal((await stat(copy)).mode & 0o777, 0o600);
  });

  interface Refusal {
    readonly name: string;
    readonly damage: (text: string) => string;
    readonly reason: string;
  }
  const refusals: readonly Refusal[] = [
    { name: "truncated", damage: (text) => text.slice(0, text.length / 2), reason: "it ends before its checksum" },
    {
      name: "damaged",
      damage: (text) => text.replace('"failClosed":false', '"failClosed":true'),
      reason: "its checksum does not match: it is damaged",
    },
    {
      name: "another node's",
      damage: (text) => text.replaceAll("node-1", "node-2"),
      reason: "it is of node node-2, this is node-1",
    },
    {
      name: "of a later version",
      damage: (text) => text.replace('"format":1', '"format":9'),
      reason: "its format is 9, this enforcer knows 1",
    },
  ];
  for (const { name, damage, reason } of refusals) {
    it(`is refused when it is ${name}: one line says why, and the kernel is left alone`, async () => {
      await remembering(DENIED);
      await node.reboot();
      await writeFile(copy, damage(await readFile(copy, "utf8")));
      await startedAndCalm();
      await node.untilSaid(/the disk copy/);
      const warnings = node.log.filter(({ message }) => message.startsWith("the disk copy"));
      assert.deepEqual(warnings.map((line) => [line.level, line["reason"]]), [["warn", reason]]);
      assert.equal(await node.probe(), "open");
      assert.doesNotMatch(await node.rules(), /TW-C/, "only the skeleton");
      await node.startOperator();
      await node.enforce(DENIED, 2);
      assert.equal(await node.probe(), "dropped");
    });
  }

  it("is missed by nobody", async () => {
    await remembering(DENIED);
    const before = await node.calm();
    await node.kill("SIGKILL");
    await rm(copy);
    await startedAndCalm();
    assert.equal(await node.rules(), before);
    assert.equal(await node.probe(), "dropped");
  });
});
