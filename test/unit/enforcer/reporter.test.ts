import assert from "node:assert/strict";
import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import type { LineLogger } from "../../../operator/enforcer/line-logger.ts";
import type { NodeReport } from "../../../operator/enforcer/node-report.ts";
import { segmentNodeStatus } from "../../../operator/enforcer/node-report.ts";
import { SegmentNodeReporter } from "../../../operator/enforcer/segment-node-reporter.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { VirtualClock } from "./virtual-clock.ts";

const SILENT: LineLogger = { info: () => undefined, warn: () => undefined, error: () => undefined };

function report(generation: number, rules = 20, failure?: NodeReport["failure"]): NodeReport {
  const state = nodeState({ pods: { a: { address: "10.1.0.1" } } });
  const generations = new Map([["shop", { generation, revision: `r${generation}` }]]);
  return { state: { ...state, generations }, wrote: true, rules: { ipv4: rules, ipv6: 0 }, sets: 2, findings: [], leaversDue: undefined, backend: "nft", standing: "Enforcing", failure };
}

describe("segmentNodeStatus", () => {
  const first = segmentNodeStatus(report(3), undefined, "1.0.0", "2026-01-01T00:00:00Z");

  it("confirms what is in force", () => {
    assert.deepEqual(first, {
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "Enforcing",
          message: "enforcing on 1 pod",
          observedGeneration: 1,
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
      policies: [{ name: "shop", generation: 3, revision: "r3", state: "Enforced", message: "" }],
      policyCount: 1,
      pods: 1,
      rules: { ipv4: 20, ipv6: 0 },
      sets: 2,
      backend: "nft",
      version: "1.0.0",
      lastAppliedTime: "2026-01-01T00:00:00Z",
    });
  });

  it("says a failure in Ready and Degraded, and takes both back when it is over", () => {
    const failure = { reason: "IpsetMissing", message: "ipset is not installed in the enforcer's image" };
    const bad = { ...report(3, 20, failure), wrote: false };
    const failed = segmentNodeStatus(bad, first, "1.0.0", "2026-01-01T00:01:00Z");
    const conditions = failed.conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
    assert.deepEqual(conditions, ["Ready=False IpsetMissing", "Degraded=True IpsetMissing"]);
    assert.equal(failed.lastAppliedTime, first.lastAppliedTime);
    const mended = segmentNodeStatus(report(3), failed, "1.0.0", "2026-01-01T00:02:00Z");
    assert.deepEqual(mended.conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]), [
      ["Ready", "2026-01-01T00:02:00Z"],
    ]);
  });

  it("confirms nothing while the rules do not hold, and says what is wrong, the worst first", () => {
    const findings = [
      { reason: "SourcesForgeable", message: "set rp_filter", holds: true },
      { reason: "BridgeNotFiltered", message: "load br_netfilter", holds: false },
    ];
    const { policies, conditions } = segmentNodeStatus({ ...report(3), findings }, undefined, "1", "");
    assert.deepEqual(policies.map(({ state, message }) => [state, message]), [["Failed", "load br_netfilter"]]);
    assert.deepEqual(conditions.map(({ type, status, reason, message }) => [type, status, reason, message]), [
      ["Ready", "False", "BridgeNotFiltered", "load br_netfilter"],
      ["Degraded", "True", "BridgeNotFiltered", "load br_netfilter; set rp_filter"],
    ]);
  });

  it("stays ready beside what only should be better", () => {
    const findings = [{ reason: "SourcesForgeable", message: "set rp_filter", holds: true }];
    const { policies, conditions } = segmentNodeStatus({ ...report(3), findings }, undefined, "1", "");
    assert.deepEqual(policies.map(({ state }) => state), ["Enforced"]);
    const said = conditions.map(({ type, status }) => `${type}=${status}`);
    assert.deepEqual(said, ["Ready=True", "Degraded=True"]);
  });

  it("moves the transition time only with the status", () => {
    const later = segmentNodeStatus(report(4), first, "1.0.0", "2026-01-01T00:05:00Z");
    assert.equal(later.conditions[0]?.lastTransitionTime, "2026-01-01T00:00:00Z");
    assert.equal(later.lastAppliedTime, "2026-01-01T00:05:00Z");
  });
});

describe("SegmentNodeReporter", () => {
  /** What is written within so many seconds of the last report, with the time of it; the reports come all at once. */
  async function written(reports: readonly NodeReport[], { failures = 0, seconds = 10, random = 0 } = {}) {
    const clock = new VirtualClock();
    const stop = new AbortController();
    const writes: (readonly [number, SegmentNodeStatus])[] = [];
    let left = failures;
    const reporter = new SegmentNodeReporter({
      version: "1.0.0",
      log: SILENT,
      clock,
      random: () => random,
      sink: {
        async write(status) {
          left -= 1;
          if (left >= 0) throw new Error("404 not found");
          writes.push([clock.monotonic(), status]);
        },
      },
    });
    const done = reporter.run(stop.signal);
    for (const each of reports) {
      reporter.report(each);
      await clock.pass(0);
    }
    await clock.pass(seconds * 1_000);
    stop.abort();
    await done;
    return writes.map(([at, status]) => [at, status.policies[0]?.generation, status.rules.ipv4]);
  }

  it("writes a confirmation at once", async () => {
    assert.deepEqual(await written([report(1), report(2)]), [[0, 1, 20], [0, 2, 20]]);
  });

  it("writes nothing when nothing changed", async () => {
    assert.deepEqual(await written([report(1), report(1)]), [[0, 1, 20]]);
  });

  it("writes counts at most once a second", async () => {
    assert.deepEqual(await written([report(1), report(1, 21)]), [[0, 1, 20], [1_000, 1, 21]]);
  });

  it("tries again, waiting longer each time, while there is no SegmentNode", async () => {
    assert.deepEqual(await written([report(1)], { failures: 3 }), [[250 + 500 + 1_000, 1, 20]]);
  });

  it("says the same again after minutes, each node at its own time: the SegmentNode may have been made anew", async () => {
    assert.deepEqual(await written([report(1)], { seconds: 700 }), [[0, 1, 20], [300_000, 1, 20], [600_000, 1, 20]]);
    assert.deepEqual(await written([report(1)], { seconds: 700, random: 0.5 }), [[0, 1, 20], [450_000, 1, 20]]);
  });

  it("counts those minutes from the last write", async () => {
    const changed = [report(1), report(1, 21)];
    assert.deepEqual(await written(changed, { seconds: 302 }), [[0, 1, 20], [1_000, 1, 21], [301_000, 1, 21]]);
  });
});
