import assert from "node:assert/strict";

import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import { compile } from "../../../operator/compile/compile.ts";
import { ChangeRouter } from "../../../operator/control/change-router.ts";
import { PolicyView } from "../../../operator/control/policy-view.ts";
import { SegmentPolicyReconciler } from "../../../operator/control/segment-policy-reconciler.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { FACTS } from "../compile/facts.ts";
import { stored } from "../compile/stored.ts";
import { namespace } from "../resolve/cluster.ts";

const LABELS = { segment: "shop" };

const policy = (app: string, mode: string) => readSegmentPolicy({
  metadata: { name: "shop", uid: "uid-1", generation: 2 },
  spec: { namespaceSelector: { matchLabels: LABELS }, mode, tiers: [{ name: "db", podSelector: { matchLabels: { app } } }] },
});

function parts(app: string): readonly NetworkPolicy[] {
  const { verdict } = policy(app, "Enforce");
  assert.ok(verdict.accepted);
  return compile("shop", verdict.spec, FACTS).map((part) => stored(part));
}

/** A replica that does not lead, to which these NetworkPolicies were shown. */
function scene(mode: string, live: readonly NetworkPolicy[]) {
  const said: string[] = [];
  const asked: string[] = [];
  const [view, resolver] = [new PolicyView(), new Resolver({ enforce: "Segments" })];
  const segmentPolicies = new Map([["shop", policy("new", mode)]]);
  const [quiet, writes] = [() => undefined, () => assert.fail("only the leader writes")];
  const reconciler = new SegmentPolicyReconciler({
    cluster: {
      segmentPolicies, networkPolicies: view, namespaces: new Map([["ns", namespace("ns", LABELS)]]), facts: () => FACTS,
    },
    writer: { create: writes, update: writes, reown: writes, remove: writes },
    sink: {
      generation: (_, generation) => void said.push(`generation ${generation}`),
      outcome: (_, { placed, leaving }) => void said.push(`placed ${placed}, leaving ${leaving.join()}`),
      retired: quiet, audit: quiet, forgotten: quiet, driftCorrected: quiet,
    },
    excludedNamespaces: new Set(), isLeader: () => false, monotonic: () => 0,
  });
  const work = {
    policy: (name: string) => void asked.push(name),
    status: quiet, counts: quiet, node: quiet, enforcers: quiet, publish: quiet,
  };
  const ownRoad = () => assert.fail("nobody asks for it");
  const router = new ChangeRouter({ resolver, view, work, segmentPolicies, segmentNodes: new Map(), ownRoad });
  for (const current of live) router.networkPolicy({ previous: undefined, current });
  asked.length = 0;
  return { reconciler, router, said, asked };
}

describe("a NetworkPolicy that is no longer wanted and being deleted", () => {
  const gone = parts("old").find(({ metadata }) => metadata.name.startsWith("shop-db-"));
  assert.ok(gone !== undefined);
  const { name } = gone.metadata;
  const deleting = { ...gone, metadata: { ...gone.metadata, deleting: true } };
  for (const [mode, others] of [["Enforce", parts("new")], ["Audit", []]] as const) {
    it(`mode ${mode}: is waited for while it is there, and its end ends that`, async () => {
      const { reconciler, router, said, asked } = scene(mode, [...others, deleting]);
      await reconciler.reconcile("shop");
      assert.deepEqual(said.splice(0), [`placed false, leaving ns/${name}`]);
      router.networkPolicy({ previous: deleting, current: undefined });
      assert.deepEqual(asked, ["shop"]);
      await reconciler.reconcile("shop");
      assert.deepEqual(said, ["generation 2", "placed true, leaving "]);
    });
  }
});
