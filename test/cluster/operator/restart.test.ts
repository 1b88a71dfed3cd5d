import assert from "node:assert/strict";
import { collectionPath, NETWORK_POLICIES, SEGMENT_POLICIES } from "../../../operator/kube/resource.ts";
import { waitFor } from "../../lab/wait.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, segmentPolicy, type Manifest } from "./segment.ts";
import type { ShownPolicy } from "./status-contract.ts";

const POLICIES = 1_000;
const NAMESPACES = 50;
const STATUS_RECONCILES = 'controller_runtime_reconcile_total{controller="status",result="requeue"}';
const POLICY_RECONCILES = 'controller_runtime_reconcile_total{controller="segmentpolicy",result="success"}';

const place = (index: number) => `many-${index % NAMESPACES}`;

/** Two tiers and nothing else: 20 such policies share a namespace, each with pods of its own. */
function policy(index: number): Manifest {
  const tier = (name: string, from: object) => ({
    name, podSelector: { matchLabels: { app: `app-${index}`, tier: name } }, ingress: [{ from: [from] }],
  });
  return segmentPolicy(`many-${index}`, {
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": place(index) } },
    defaultDeny: "TierPods", quarantineLabel: "",
    tiers: [tier("web", { anywhere: {} }), tier("db", { tier: "web" })],
  });
}

describe(`the operator: a restart over ${POLICIES} SegmentPolicies`, function () {
  this.timeout(240_000);
  let installation: Installation;

  before(async () => {
    installation = await Installation.start();
    await installation.apply(...Array.from({ length: NAMESPACES }, (_, index) => namespace(place(index), "many")));
    await createAll();
  });

  after(() => installation?.stop());

  async function createAll(): Promise<void> {
    const indices = Array.from({ length: POLICIES }, (_, index) => index).values();
    const path = collectionPath(SEGMENT_POLICIES);
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (const index of indices) await installation.client.request({ method: "POST", path, body: policy(index) });
    }));
  }

  async function list<T>(path: string): Promise<readonly T[]> {
    return (await installation.client.request({ method: "GET", path }) as { readonly items: readonly T[] }).items;
  }

  async function versions(): Promise<readonly string[]> {
    type Versioned = { readonly metadata: { readonly resourceVersion: string } };
    const policies = await list<Versioned>(collectionPath(NETWORK_POLICIES));
    return policies.map(({ metadata }) => metadata.resourceVersion);
  }

  async function started(name: string): Promise<OperatorProcess> {
    const operator = await installation.startOperator(name);
    await operator.untilReady();
    await operator.untilLeading();
    return operator;
  }

  it("follows a roll-out of all of them", async () => {
    const operator = await started("first");
    await waitFor("every policy is ready", async () => {
      const policies = await list<ShownPolicy>(collectionPath(SEGMENT_POLICIES));
      const ready = policies.filter(({ status: { conditions = [] } }) =>
        conditions.some(({ type, status }) => type === "Ready" && status === "True"));
      if (ready.length === POLICIES) return true;
      throw new Error(`${ready.length} are`);
    }, { timeoutMs: 180_000, everyMs: 1_000 });
    assert.equal((await list(collectionPath(NETWORK_POLICIES))).length, 2 * POLICIES);
    // Counts of pods are looked at once more after the last change.
    await calm(3_000);
    await operator.stop();
  });

  it("writes nothing at all but its Lease, though every policy is looked at", async () => {
    const before = await versions();
    const mark = await installation.audit.mark();
    const operator = await started("second");
    await operator.until("has looked at everything", async () => {
      const looked = [await operator.metric(STATUS_RECONCILES), await operator.metric(POLICY_RECONCILES)];
      return looked.every((count) => count >= POLICIES) || undefined;
    }, 60_000);
    await calm(3_000);
    const own = await installation.credentialOf(operator);
    const calls = (await installation.audit.calls(mark)).filter(({ credential }) => credential === own);
    const asked = calls.filter(({ resource }) => resource !== "leases");
    assert.deepEqual(asked.filter(({ verb }) => !["get", "list", "watch"].includes(verb)), []);
    const told = asked.map(({ verb, resource }) => `${verb} ${resource}`);
    assert.ok(told.length < 50, `${told.length} requests: ${told.join()}`);
    assert.deepEqual(await versions(), before);
    await operator.stop();
  });

  keepsGoodConduct(() => installation);
});
