import assert from "node:assert/strict";
import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import type { SegmentPolicy, SegmentPolicyStatus } from "../../../operator/api/segment-policy.ts";
import type { Surveyed } from "../../../operator/control/segment-surveyor.ts";
import { StatusReconciler } from "../../../operator/control/status-reconciler.ts";
import type { Outcome } from "../../../operator/status/policy-status.ts";

const NOTHING_SEEN: Surveyed = {
  survey: {
    tiers: [], untieredPods: 0, quarantinedPods: 0, widenedBy: [], stillTalking: [], ownPods: [],
  },
  unreadable: [], addressless: [], againAfterMs: undefined,
};

function policy(uid: string, resourceVersion = 1, status: object = { observedGeneration: -1 }): SegmentPolicy {
  return readSegmentPolicy({
    metadata: { name: "shop", uid, generation: 1, resourceVersion: String(resourceVersion) },
    spec: { namespaceSelector: { matchLabels: { segment: "shop" } } },
    status,
  });
}

function outcome(changes: Partial<Outcome> = {}): Outcome {
  return {
    generation: 1, namespaces: { matched: 1, applied: 1 }, networkPolicies: 2, suspended: false, placed: true,
    conflicts: [], leaving: [], failures: [], unknownFacts: [], staleFacts: [], tooManyNodeAddresses: [], disagreements: [],
    ...changes,
  };
}

/**
 * The watch has shown `first` and shows no more, and enforcement is left to the CNI. Writes are kept, take `writeMs`,
 * and are answered with what `store` makes of them.
 */
function scene(first: SegmentPolicy, writeMs = 0, store: (status: SegmentPolicyStatus) => object = (status) => status) {
  let now = 0;
  let wallAtStart = Date.UTC(2030, 0, 1);
  const shown = new Map([["shop", first]]);
  const written: { readonly uid: string; readonly at: number; readonly status: SegmentPolicyStatus }[] = [];
  const reconciler = new StatusReconciler({
    sources: {
      segmentPolicies: shown, nodes: new Map(), segmentNodes: new Map(),
      expectedConfirmations: () => new Map(), survey: () => NOTHING_SEEN, managed: () => false,
    },
    sink: {
      write: async ({ metadata: { uid } }, status) => {
        now += writeMs;
        written.push({ uid, at: now, status });
        return policy(uid, 10 * written.length, store(status));
      },
      changed: () => undefined,
    },
    grace: { newcomerMs: 30_000, newNodeMs: 300_000 },
    now: () => wallAtStart + now,
    monotonic: () => now,
  });
  /** As the queue does: again when it says so. */
  const run = async (ms: number) => {
    const end = now + ms;
    while (now <= end) now += await reconciler.reconcile("shop") ?? Infinity;
    now = Math.min(now, end);
  };
  const wait = (ms: number) => void (now += ms);
  const putBack = (ms: number) => void (wallAtStart -= ms);
  return { reconciler, shown, written, run, wait, putBack, time: () => now };
}

describe("the status of a SegmentPolicy", () => {
  it("is written once while nothing changes", async () => {
    const { reconciler, written, run } = scene(policy("a"));
    reconciler.setOutcome(policy("a"), outcome());
    await run(100_000);
    assert.equal(written.length, 1);
  });

  it("that another leader has written since our last is replaced, and once", async () => {
    const { reconciler, shown, written, run } = scene(policy("a"));
    const [failing, fine] = [outcome({ placed: false, failures: [{ namespace: "x", message: "refused" }] }), outcome()];
    reconciler.setOutcome(policy("a"), failing);
    await run(5_000);
    const other = scene(policy("a", 10, written[0]?.status));
    other.reconciler.setOutcome(policy("a"), fine);
    await other.run(5_000);
    shown.set("shop", policy("a", 15, other.written[0]?.status));
    await run(100_000);
    const ready = written.map(({ status }) => status.conditions.find(({ type }) => type === "Ready")?.status);
    assert.deepEqual(ready, ["False", "False"]);
  });

  const beside = (status: SegmentPolicyStatus) => {
    const stranger = { type: "Seen", status: "True", reason: "R", message: "", observedGeneration: 1, lastTransitionTime: "" };
    return { ...status, conditions: [...status.conditions, stranger] };
  };
  it("is written once also where a stranger's condition stands beside ours", async () => {
    const { reconciler, shown, written, run } = scene(policy("a"), 0, beside);
    reconciler.setOutcome(policy("a"), outcome());
    await run(5_000);
    shown.set("shop", policy("a", 10, beside(written[0]?.status ?? assert.fail())));
    await run(100_000);
    // Somebody has changed a label.
    shown.set("shop", policy("a", 15, beside(written[0]?.status ?? assert.fail())));
    await run(100_000);
    assert.equal(written.length, 1);
  });

  it("of an object that was deleted and made anew is written, though it says the same", async () => {
    const { reconciler, shown, written, wait } = scene(policy("a"));
    reconciler.setOutcome(policy("a"), outcome());
    await reconciler.reconcile("shop");
    wait(10_000);
    shown.set("shop", policy("b"));
    reconciler.setOutcome(policy("b"), outcome());
    await reconciler.reconcile("shop");
    assert.deepEqual(written.map(({ uid }) => uid), ["a", "b"]);
    const [before, after] = written.map(({ status }) => status.conditions[0]?.lastTransitionTime ?? "");
    assert.ok((after ?? "") > (before ?? ""), "the new object has a history of its own");
  });

  it("says nothing of a new object from what was done for the old one", async () => {
    const { reconciler, shown, written } = scene(policy("a"));
    reconciler.setOutcome(policy("a"), outcome());
    shown.set("shop", policy("b"));
    assert.equal(await reconciler.reconcile("shop"), undefined);
    assert.deepEqual(written, []);
  });

  it("nor from what is done for the old one when the new one is there already", async () => {
    const { reconciler, shown, written } = scene(policy("a"));
    shown.set("shop", policy("b"));
    reconciler.setOutcome(policy("a"), outcome());
    assert.equal(await reconciler.reconcile("shop"), undefined);
    assert.deepEqual(written, []);
  });

  it("is not kept waiting by a wall clock that was put back", async () => {
    const { reconciler, written, run, putBack } = scene(policy("a"));
    reconciler.setOutcome(policy("a"), outcome());
    await reconciler.reconcile("shop");
    putBack(3_600_000);
    reconciler.setOutcome(policy("a"), outcome({ networkPolicies: 3 }));
    await run(5_000);
    assert.equal(written.length, 2);
  });

  it("is a second apart from the one before, counted from that one's answer", async () => {
    const { reconciler, written, run, time } = scene(policy("a"), 700);
    reconciler.setOutcome(policy("a"), outcome());
    await reconciler.reconcile("shop");
    const answered = time();
    reconciler.setOutcome(policy("a"), outcome({ networkPolicies: 3 }));
    await run(5_000);
    const sent = (written[1]?.at ?? 0) - 700;
    assert.equal(sent - answered, 1_000);
  });
});
