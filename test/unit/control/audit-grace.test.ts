import assert from "node:assert/strict";

import type { GenerationMark } from "../../../operator/api/node-state.ts";
import type { SegmentNodeReport } from "../../../operator/api/segment-node-parser.ts";
import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import type { SegmentPolicyStatus } from "../../../operator/api/segment-policy.ts";
import type { Node } from "../../../operator/api/workload.ts";
import { StatusReconciler } from "../../../operator/control/status-reconciler.ts";

const MARK: GenerationMark = { generation: 1, revision: "r" };
const NEWCOMER_MS = 30_000;
const nodes = new Map(["old", "new"].map((name): [string, Node] => [name, {
  name, uid: name, labels: {}, ready: true, createdAt: 0, operatingSystem: "linux", addresses: [], podCIDRs: [],
}]));
const confirmed: SegmentNodeReport = {
  name: "old", uid: "old",
  status: { conditions: [], policies: [{ name: "shop", ...MARK, state: "Enforced", message: "" }] },
};

describe("the status of an audit that every node has confirmed", () => {
  it("stays Ready while a newcomer is within its grace, and not a moment longer", async () => {
    let now = Date.UTC(2030, 0, 1);
    const expected = new Map([["old", MARK]]);
    const written: SegmentPolicyStatus[] = [];
    const stored = (status?: SegmentPolicyStatus) => readSegmentPolicy({
      metadata: { name: "shop", uid: "u", generation: 1, resourceVersion: String(written.length) },
      spec: { namespaceSelector: { matchLabels: { a: "b" } }, mode: "Audit" }, status,
    });
    const policy = stored();
    const survey = {
      tiers: [], untieredPods: 0, quarantinedPods: 0, widenedBy: [], stillTalking: [], ownPods: [],
    };
    const reconciler = new StatusReconciler({
      sources: {
        segmentPolicies: new Map([["shop", policy]]), nodes, segmentNodes: new Map([["old", confirmed]]),
        expectedConfirmations: () => expected, managed: () => true,
        survey: () => ({ survey, unreadable: [], addressless: [], againAfterMs: undefined }),
      },
      sink: {
        write: async (_, status) => {
          written.push(status);
          return stored(status);
        },
        changed: () => undefined,
      },
      grace: { newcomerMs: NEWCOMER_MS, newNodeMs: 300_000 },
      now: () => now,
      monotonic: () => now,
    });
    const shown = async (laterMs: number) => {
      now += laterMs;
      await reconciler.reconcile("shop");
      return written.at(-1)?.conditions.find(({ type }) => type === "Ready");
    };
    reconciler.setOutcome(policy, {
      generation: 1, namespaces: { matched: 1, applied: 1 }, networkPolicies: 0, suspended: false, placed: true,
      conflicts: [], leaving: [], failures: [], unknownFacts: [], staleFacts: [], tooManyNodeAddresses: [], disagreements: [],
    });
    assert.equal((await shown(0))?.reason, "Auditing");
    expected.set("new", MARK);
    for (const [laterMs, status] of [[10_000, "True"], [NEWCOMER_MS - 1, "True"], [1_001, "False"]] as const) {
      assert.equal((await shown(laterMs))?.status, status);
    }
  });
});
