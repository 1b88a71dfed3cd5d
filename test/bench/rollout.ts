// What one SegmentPolicy over many namespaces costs the operator and the API server: to roll out, to change one port in
// it, to restart over it, to take it away; and how long something that was deleted or edited by hand stays so.
// Method: a real API server with its controllers and no nodes, and the operator as a process of its own with the
// rights that its manifests give it; enforcement is left to the CNI, so that Ready means "written and seen". 200
// namespaces, 10 tiers in a chain (12 NetworkPolicies a namespace with quarantine and default). Times are of this
// process's monotonic clock, from the moment the SegmentPolicy is sent with kubectl to the status Ready of its
// generation, asked for every 20 ms; of a restart, from the process's start until the policy and its status have been
// looked at; of what is put back, from the answer to the hand's request until a GET shows it as it was, asked for every
// 5 ms. Requests are those of the operator's token in the API server's audit log, those for its Lease left out.
// Control plane, operator and this process share the machine.
import type { Call } from "../cluster/operator/audit-log.ts";
import { calm, Installation } from "../cluster/operator/installation.ts";
import type { OperatorProcess } from "../cluster/operator/operator-process.ts";
import { chain, namespacesOf, placesOf, type WideSegment } from "../cluster/operator/wide-segment.ts";
import type { ApiRequest } from "../../operator/kube/client.ts";
import { collectionPath, NETWORK_POLICIES, objectPath } from "../../operator/kube/resource.ts";
import { waitFor } from "../lab/wait.ts";

const SEGMENT: WideSegment = { name: "wide", namespaces: 200, tiers: 10 };
const POLICIES = SEGMENT.namespaces * (SEGMENT.tiers + 2);
const RECONCILED = 'controller_runtime_reconcile_total{controller="status",result="requeue"}';

const installation = await Installation.start();

async function started(name: string): Promise<OperatorProcess> {
  const operator = await installation.startOperator(name);
  await operator.untilReady();
  await operator.untilLeading();
  return operator;
}

async function ready(): Promise<void> {
  const all = `${SEGMENT.namespaces}/${SEGMENT.namespaces}`;
  await waitFor("the segment is ready", async () => {
    const { metadata, status } = await installation.policy(SEGMENT.name);
    const done = status.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True");
    return done && status.observedGeneration === metadata.generation && status.namespaces?.summary === all || undefined;
  }, { timeoutMs: 300_000, everyMs: 20 });
}

/** Tells how long `work` took, and what `operator` asked of the API server for it. */
async function measured(what: string, operator: OperatorProcess, work: () => Promise<void>): Promise<void> {
  const mark = await installation.audit.mark();
  const start = performance.now();
  await work();
  const took = performance.now() - start;
  await calm(2_000);
  const credential = await installation.credentialOf(operator);
  const calls = await installation.audit.calls(mark);
  const own = calls.filter((call) => call.credential === credential && call.resource !== "leases");
  process.stdout.write(`${what}: ${(took / 1_000).toFixed(2)} s, ${own.length} requests${kinds(own)}\n`);
}

/** Deletes and edits one generated object by hand, again and again, and tells how long it takes to be put back. */
async function driftIn(namespace: string): Promise<void> {
  const [one] = await installation.networkPolicies(namespace);
  const name = one?.metadata.name ?? "";
  const path = objectPath(NETWORK_POLICIES, { namespace, name });
  const shown = async (): Promise<string> => {
    const policy = await installation.networkPolicy(namespace, name);
    return JSON.stringify([policy?.spec, policy?.metadata.labels]);
  };
  const wanted = await shown();
  const hands: readonly (readonly [string, ApiRequest])[] = [
    ["deleted", { method: "DELETE", path }],
    ["edited", {
      method: "PATCH", path, contentType: "application/merge-patch+json", body: { spec: { ingress: [{}] } },
    }],
  ];
  for (const [what, request] of hands) {
    const times: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      await installation.client.request(request);
      const begin = performance.now();
      await waitFor("what was there being back", async () => (await shown()) === wanted || undefined, {
        timeoutMs: 30_000, everyMs: 5,
      });
      times.push(performance.now() - begin);
    }
    const sorted = times.toSorted((a, b) => a - b);
    const text = (at: number) => (sorted.at(at) ?? 0).toFixed(0);
    process.stdout.write(`${what} by hand, put back: ${text(sorted.length >> 1)} ms (${text(0)} - ${text(-1)}, target 1,000)\n`);
  }
}

function kinds(calls: readonly Call[]): string {
  const counts = Map.groupBy(calls, ({ verb, resource }) => `${verb} ${resource}`);
  const told = [...counts].map(([kind, { length }]) => `${length} ${kind}`).toSorted();
  return told.length === 0 ? "" : ` (${told.join(", ")})`;
}

try {
  await installation.apply(...namespacesOf(SEGMENT));
  process.stdout.write(`${SEGMENT.namespaces} namespaces, ${SEGMENT.tiers} tiers, ${POLICIES} NetworkPolicies\n`);
  const first = await started("bench-first");
  const [one = ""] = placesOf(SEGMENT);
  await measured("roll-out", first, async () => {
    await installation.apply(chain(SEGMENT));
    await ready();
  });
  await measured("nothing to do: a namespace gets another label", first, async () => {
    await installation.kubectl("label", `namespace/${one}`, "example.com/nudge=1");
    await calm(500);
  });
  await measured("one port changed", first, async () => {
    await installation.apply(chain(SEGMENT, 9090));
    await ready();
  });
  await first.stop();
  const start = performance.now();
  const mark = await installation.audit.mark();
  const second = await started("bench-second");
  await second.until("has looked at everything", async () => await second.metric(RECONCILED) >= 1 || undefined, 60_000);
  const took = performance.now() - start;
  await calm(2_000);
  const credential = await installation.credentialOf(second);
  const own = (await installation.audit.calls(mark)).filter((call) => call.credential === credential);
  const asked = own.filter(({ resource }) => resource !== "leases");
  process.stdout.write(`restart: ${(took / 1_000).toFixed(2)} s, ${asked.length} requests${kinds(asked)}\n`);
  await driftIn(one);
  await measured("removal", second, async () => {
    await installation.kubectl("delete", "segpol", SEGMENT.name);
    const query = { labelSelector: "app.kubernetes.io/managed-by=tierwall", limit: "1" };
    const path = collectionPath(NETWORK_POLICIES);
    await waitFor("nothing is left", async () => {
      const left = (await installation.client.request({ method: "GET", path, query })) as { readonly items: unknown[] };
      return left.items.length === 0 || undefined;
    }, { timeoutMs: 300_000, everyMs: 100 });
  });
} finally {
  await installation.stop();
}
