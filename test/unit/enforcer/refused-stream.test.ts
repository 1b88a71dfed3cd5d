import assert from "node:assert/strict";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { segmentNodeStatus, type NodeReport } from "../../../operator/enforcer/node-report.ts";
import { guarded, inForce, Stage } from "./agent-stage.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";

const REASON = "StreamRefused";
const WHY = "malformed stream: not a line of JSON";

function findingsOf({ findings }: NodeReport): readonly string[] {
  return findings.map(({ reason }) => reason);
}

describe("an Agent whose stream makes no sense", () => {
  it("keeps and confirms what was in force, and says why the node is degraded", async () => {
    const kernel = new FakeNetfilter();
    await using stage = new Stage(kernel);
    const [before, state] = [guarded(["10.2.0.1"]), guarded(["10.2.0.2"])];
    stage.agent.receive(before);
    await stage.report(inForce(before));
    stage.agent.receive(state);
    await stage.report(inForce(state));
    const writes = kernel.written.length;
    stage.agent.refuse(WHY);
    const report = await stage.report((each) => findingsOf(each).includes(REASON));
    assert.deepEqual([report.state, report.wrote, stage.agent.ready], [state, false, true]);
    assert.equal(kernel.written.length, writes);
    const status = segmentNodeStatus(report, undefined, "1", "2030-01-01T00:00:00Z");
    assert.deepEqual(status.policies.map((each) => each.state), ["Enforced"]);
    const said = status.conditions.map(({ type, status: is, reason, message }) => [type, is, reason, message]);
    const message = `the operator's stream makes no sense, what was in force before stays: ${WHY}`;
    assert.deepEqual(said, [
      ["Ready", "True", "Enforcing", "enforcing on 1 pod"], ["Degraded", "True", REASON, message],
    ]);
  });

  it("goes on to say so with each check, until a batch makes sense", async () => {
    await using stage = new Stage(new FakeNetfilter());
    stage.agent.configure({ ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 10, podCIDRs: [] });
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
    stage.agent.refuse(WHY);
    const first = stage.reports.length;
    await stage.report((each) => stage.reports.indexOf(each) >= first + 2);
    assert.deepEqual(stage.reports.slice(first).map(findingsOf).filter((said) => !said.includes(REASON)), []);
    const next = guarded(["10.2.0.2"]);
    stage.agent.receive(next);
    assert.deepEqual(findingsOf(await stage.report(inForce(next))), []);
  });

  it("has failed where nothing has made sense yet, and enforces the first that does", async () => {
    await using stage = new Stage(new FakeNetfilter());
    stage.agent.refuse(WHY);
    const { state, failure } = await stage.report(() => true);
    assert.deepEqual([state, failure?.reason, stage.agent.ready], [undefined, REASON, false]);
    const good = guarded(["10.2.0.1"]);
    stage.agent.receive(good);
    assert.deepEqual(findingsOf(await stage.report(inForce(good))), []);
  });

  it("says no more of it when it is told to leave", async () => {
    await using stage = new Stage(new FakeNetfilter());
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    await stage.report(inForce(state));
    stage.agent.refuse(WHY);
    stage.agent.retire();
    assert.deepEqual(findingsOf(await stage.report(({ standing }) => standing === "Retired")), []);
  });
});
