import assert from "node:assert/strict";
import { waitFor } from "../../lab/wait.ts";
import { enforcerObjects, firstWord, report } from "./enforcers.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, segmentPolicy } from "./segment.ts";

const NODES = ["leaving-a", "leaving-b"] as const;
const LIMIT_MS = 4_000;

describe("the operator: enforcement that is switched off", function () {
  this.timeout(120_000);
  let installation: Installation;
  let operator: OperatorProcess | undefined;
  let starts = 0;

  before(async () => {
    // Without controllers: nobody but the operator touches the enforcers' DaemonSet and its pods.
    installation = await Installation.start({});
    await installation.apply(...NODES.flatMap(enforcerObjects));
    await installation.apply(namespace("leaving", "leaving"), segmentPolicy("leaving"));
  });
  after(() => installation?.stop());

  /** A restart, as a change of the settings brings it about. */
  async function set(enforcer: "Managed" | "Disabled", retireMs: number): Promise<OperatorProcess> {
    await operator?.stop();
    starts += 1;
    operator = await installation.startOperator(`leaving-${starts}`, { enforcer, timings: { retireMs } });
    await operator.untilReady();
    await operator.untilLeading();
    return operator;
  }

  async function daemonSet(): Promise<string> {
    const names = "-o=jsonpath={.items[*].metadata.name}";
    return (await installation.kubectl("get", "ds", "--namespace=tierwall-system", names)).trim();
  }

  async function isThere(wanted: boolean, timeoutMs = 10_000): Promise<void> {
    const look = async () => ((await daemonSet()) !== "") === wanted || undefined;
    await waitFor(`the DaemonSet is ${wanted ? "there" : "gone"}`, look, { timeoutMs });
  }

  async function toldOf(reason: string): Promise<string> {
    return await waitFor(`Event ${reason}`, async () => {
      const notes = `-o=jsonpath={.items[?(@.reason=="${reason}")].note}`;
      const note = await installation.kubectl("get", "events.events.k8s.io", "--namespace=tierwall-system", notes);
      return note === "" ? undefined : note;
    }, { timeoutMs: 5_000 });
  }

  async function managed(): Promise<OperatorProcess> {
    const process = await set("Managed", 60_000);
    await isThere(true);
    for (const node of NODES) await report(installation, node, "Enforcing");
    return process;
  }

  it("greets enforcers with their state while it is on", async () => {
    assert.equal(await firstWord(installation, await managed(), NODES[0]), "state");
  });

  it("tells enforcers to leave, and keeps their DaemonSet until each has said that it is clear", async () => {
    const process = await set("Disabled", 60_000);
    for (const node of NODES) assert.equal(await firstWord(installation, process, node), "retire");
    await report(installation, NODES[0], "Retired");
    await calm();
    assert.equal(await daemonSet(), "tierwall-enforcer");
    await report(installation, NODES[1], "Retired");
    await isThere(false, 3_000);
    assert.match(await toldOf("NodesCleared"), /every enforcer has cleared its node/);
  });

  it("says NotManaged in the status of policies meanwhile, which stay ready", async () => {
    const { status } = await installation.until("leaving", "Ready", "True");
    const enforced = status.conditions?.find(({ type }) => type === "Enforced");
    assert.deepEqual([enforced?.status, enforced?.reason], ["Unknown", "NotManaged"]);
  });

  it("brings them back when it is switched on again, also in the middle of leaving", async () => {
    await managed();
    const leaving = await set("Disabled", 60_000);
    assert.equal(await firstWord(installation, leaving, NODES[0]), "retire");
    await report(installation, NODES[0], "Retired");
    const back = await managed();
    assert.equal(await daemonSet(), "tierwall-enforcer");
    assert.equal(await firstWord(installation, back, NODES[0]), "state");
  });

  it("waits for nobody for ever: an Event names the nodes that were not cleared", async () => {
    await set("Disabled", LIMIT_MS);
    await report(installation, NODES[0], "Retired");
    await calm();
    assert.equal(await daemonSet(), "tierwall-enforcer");
    await isThere(false, LIMIT_MS + 3_000);
    const note = await toldOf("NodesNotCleared");
    assert.match(note, /rules may be left on leaving-b: /);
    assert.doesNotMatch(note, /leaving-a/);
  });

  keepsGoodConduct(() => installation);
});
