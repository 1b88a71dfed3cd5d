import assert from "node:assert/strict";
import type { Condition } from "../../../operator/api/condition.ts";
import type { SegmentNodeReport } from "../../../operator/api/segment-node-parser.ts";
import type { Pod } from "../../../operator/api/workload.ts";
import { ENFORCER_POD_LABELS } from "../../../operator/control/enforcer-daemonset.ts";
import { EnforcerRetirement } from "../../../operator/control/enforcer-retirement.ts";

const OURS = "tierwall-system";

function pod(changes: Partial<Pod> = {}): Pod {
  return {
    namespace: OURS, name: "enforcer", uid: "u", labels: ENFORCER_POD_LABELS, nodeName: "n1", addresses: [],
    hostNetwork: true, finished: false, deleting: false, ports: [], ...changes,
  };
}

function saying(status: Condition["status"], reason: string): SegmentNodeReport {
  const condition = { type: "Ready", status, reason, message: "", observedGeneration: 1, lastTransitionTime: "" };
  return { name: "n1", uid: "u", status: { conditions: [condition], policies: [] } };
}

function scene(pods: readonly Pod[], reports: readonly (readonly [string, SegmentNodeReport])[] = []) {
  let now = 1_000;
  const retirement = new EnforcerRetirement({
    namespace: OURS,
    pods: new Map(pods.map((each, index) => [String(index), each])),
    segmentNodes: new Map(reports),
    limitMs: 100,
    monotonic: () => now,
  });
  return { retirement, wait: (ms: number) => { now += ms; } };
}

describe("the enforcers' retirement", () => {
  const cases: readonly {
    readonly name: string; readonly pods: readonly Pod[]; readonly report?: SegmentNodeReport; readonly awaits: readonly string[];
  }[] = [
    { name: "an enforcer that has said nothing", pods: [pod()], awaits: ["n1"] },
    { name: "one that still enforces", pods: [pod()], report: saying("True", "Enforcing"), awaits: ["n1"] },
    { name: "one that failed to clear its node", pods: [pod()], report: saying("False", "ApplyFailed"), awaits: ["n1"] },
    { name: "one that has cleared it", pods: [pod()], report: saying("False", "Retired"), awaits: [] },
    { name: "one that ends", pods: [pod({ deleting: true })], awaits: ["n1"] },
    { name: "one that has ended", pods: [pod({ finished: true })], awaits: [] },
    { name: "one without a node", pods: [pod({ nodeName: "" })], awaits: [] },
    { name: "several, in order and once each", pods: ["n3", "n2", "n3"].map((nodeName) => pod({ nodeName })), awaits: ["n2", "n3"] },
    { name: "another pod", pods: [pod({ labels: { app: "web" } })], awaits: [] },
    { name: "a pod elsewhere with an enforcer's labels", pods: [pod({ namespace: "shop" })], awaits: [] },
  ];
  for (const { name, pods, report, awaits } of cases) {
    it(`${name}: ${awaits.length === 0 ? "is not awaited" : `${awaits.join(", ")} awaited`}`, () => {
      const { retirement } = scene(pods, report === undefined ? [] : [["n1", report]]);
      assert.deepEqual(retirement.awaited(), { nodes: awaits, overdue: false });
    });
  }

  it("is overdue when its time is over, counted from the first look, and anew after it was called off", () => {
    const { retirement, wait } = scene([pod()]);
    wait(500);
    const looks = [0, 99, 1].map((ms) => {
      wait(ms);
      return retirement.awaited().overdue;
    });
    assert.deepEqual(looks, [false, false, true]);
    retirement.reset();
    assert.equal(retirement.awaited().overdue, false);
  });
});
