import assert from "node:assert/strict";
import { type NodeReport, segmentNodeStatus } from "../../../operator/enforcer/node-report.ts";
import { judgeEnforcement } from "../../../operator/status/enforcement.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

const MARK = { generation: 3, revision: "r3" };
const GRACE = { newcomerMs: 30_000, newNodeMs: 300_000 };
const WORDS = "iptables-restore: line 3 failed";

/** What a SegmentPolicy says of a node whose enforcer has this to report. */
function judged(failure: NodeReport["failure"], expected = MARK) {
  const state = { ...nodeState({ pods: { a: { address: "10.1.0.1" } } }), generations: new Map([["shop", MARK]]) };
  const report: NodeReport = {
    state, failure, wrote: false, rules: { ipv4: 20, ipv6: 20 }, sets: 2, findings: [], leaversDue: undefined, backend: "nft",
    standing: "Enforcing",
  };
  const status = segmentNodeStatus(report, undefined, "1", "2030-01-01T00:00:00Z");
  const node = { name: "n1", ready: true, createdAt: 0, expected, report: { name: "n1", uid: "u", status }, pendingSince: 0 };
  const { enforced, degraded, nodes } = judgeEnforcement("shop", [node], true, GRACE, 1_000);
  return { enforced, degraded, summary: nodes.summary, failing: nodes.failing };
}

describe("a node whose enforcer has failed", () => {
  it("counts as enforcing what is in force beside something newer that could not be brought about", () => {
    const expected = { enforced: true, degraded: false, summary: "1/1", failing: [] };
    assert.deepEqual(judged({ reason: "ApplyFailed", message: WORDS }), expected);
  });

  it("but not that something newer", () => {
    const { enforced, degraded, failing } = judged({ reason: "ApplyFailed", message: WORDS }, { generation: 4, revision: "r4" });
    assert.deepEqual([enforced, degraded, failing], [false, true, [{ name: "n1", reason: `ApplyFailed: ${WORDS}` }]]);
  });

  it("counts as failing, in the tool's words, once what is in force is in doubt", () => {
    const expected = { enforced: false, degraded: true, summary: "0/1", failing: [{ name: "n1", reason: WORDS }] };
    assert.deepEqual(judged({ reason: "ApplyFailed", message: WORDS, doubt: true }), expected);
  });
});
