import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { collectionPath, objectPath, PODS, SEGMENT_POLICIES } from "../../../operator/kube/resource.ts";
import { waitFor } from "../../lab/wait.ts";
import type { Call } from "./audit-log.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, SEGMENT_LABEL, segmentPolicy } from "./segment.ts";
import type { ShownPolicy } from "./status-contract.ts";

const SEGMENTS = ["busy", "beside"] as const;
const CHANGES = 120;
/** Between two changes, at least. */
const EVERY_MS = 40;
const INTERVAL_MS = 1_000;
/** The audit log's times are cut to milliseconds. */
const ROUNDING_MS = 1;
const STATUS_RECONCILES = 'controller_runtime_reconcile_total{controller="status",result="requeue"}';

describe("the operator: how often a status is written", function () {
  this.timeout(60_000);
  let installation: Installation;
  let operator: OperatorProcess;
  /** Every version of the SegmentPolicies that there has been, in order. */
  const shown: ShownPolicy[] = [];
  const stopWatch = new AbortController();
  let watching = Promise.resolve();
  let mark = 0;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    await installation.apply(...SEGMENTS.flatMap((segment) => [namespace(segment, segment), segmentPolicy(segment)]));
    await installation.apply(namespace("busy-more", "busy"));
    operator = await installation.startOperator("rate");
    await operator.untilReady();
    await operator.untilLeading();
    for (const segment of SEGMENTS) await installation.until(segment, "Ready", "True");
    await calm(2 * INTERVAL_MS);
    watching = watch();
    await waitFor("the watch shows them", () => shown.length >= SEGMENTS.length || undefined, { timeoutMs: 5_000 });
    mark = await installation.audit.mark();
  });

  after(async () => {
    stopWatch.abort(new Error("over"));
    await watching;
    await installation?.stop();
  });

  async function watch(): Promise<void> {
    const path = collectionPath(SEGMENT_POLICIES);
    const query = { watch: "true" };
    try {
      const { client } = installation;
      for await (const lines of client.stream({ method: "GET", path, query, signal: stopWatch.signal })) {
        for (const line of lines) shown.push((JSON.parse(line) as { readonly object: ShownPolicy }).object);
      }
    } catch (error) {
      if (!stopWatch.signal.aborted) throw error;
    }
  }

  function statusWrites(calls: readonly Call[], segment: string): readonly Call[] {
    return calls.filter(({ resource, name }) => resource === "segmentpolicies/status" && name === segment);
  }

  async function writes(segment: string): Promise<readonly Call[]> {
    return statusWrites(await installation.audit.calls(mark), segment);
  }

  /** Each makes another status: pods of tiers and of none, quarantined ones, a namespace more or less, another spec. */
  const changes: readonly ((index: number) => Promise<unknown>)[] = [
    (index) => pod(index, { tier: "web" }),
    (index) => pod(index, { tier: "db", "tierwall.io/quarantine": "yes" }),
    (index) => pod(index, {}),
    (index) => label(index % 8 === 3 ? null : "busy"),
    (index) => installation.client.request({
      method: "PATCH", path: objectPath(SEGMENT_POLICIES, { name: "busy" }),
      contentType: "application/merge-patch+json", body: { spec: { dns: index % 10 === 4 ? "Deny" : "Allow" } },
    }),
  ];

  function pod(index: number, labels: Readonly<Record<string, string>>): Promise<unknown> {
    const containers = [{ name: "server", image: "none" }];
    return installation.client.request({
      method: "POST", path: collectionPath(PODS, "busy"),
      body: { apiVersion: "v1", kind: "Pod", metadata: { name: `pod-${index}`, labels }, spec: { containers } },
    });
  }

  function label(value: string | null): Promise<unknown> {
    return installation.client.request({
      method: "PATCH", path: "/api/v1/namespaces/busy-more", contentType: "application/merge-patch+json",
      body: { metadata: { labels: { [SEGMENT_LABEL]: value } } },
    });
  }

  it(`${CHANGES} changes in a few seconds: at most once a second`, async () => {
    const looked = await operator.metric(STATUS_RECONCILES);
    for (let index = 0; index < CHANGES; index += 1) {
      await Promise.all([changes[index % changes.length]?.(index), sleep(EVERY_MS)]);
    }
    await calm(3 * INTERVAL_MS);
    const calls = await writes("busy");
    const gaps = calls.slice(1).map(({ at }, index) => at - (calls[index]?.at ?? 0));
    assert.ok(calls.length >= 3, `only ${calls.length} writes: nothing is seen of their rate`);
    assert.ok(Math.min(...gaps) >= INTERVAL_MS - ROUNDING_MS, `milliseconds between writes: ${gaps.join()}`);
    const looks = (await operator.metric(STATUS_RECONCILES)) - looked;
    assert.ok(looks > calls.length, `${looks} looks for ${calls.length} writes`);
  });

  it("in the end it says how things are", async () => {
    const kinds = (wanted: number) => Array.from({ length: CHANGES }, (_, index) => index)
      .filter((index) => index % changes.length === wanted).length;
    const { status } = await installation.policy("busy");
    assert.deepEqual(status.tiers, [{ name: "web", pods: kinds(0) }, { name: "db", pods: 0 }]);
    assert.deepEqual([status.quarantinedPods, status.untieredPods], [kinds(1), kinds(2)]);
  });

  it("every write changed something", async () => {
    const versions = shown.filter(({ metadata }) => metadata.name === "busy");
    // A change of the spec is no status write, and a write that changes nothing makes no version.
    const pairs = versions.slice(1).map((current, index) => ({ before: versions[index], current }));
    const written = pairs.filter(({ before, current }) => before?.metadata.generation === current.metadata.generation);
    assert.equal(written.length, (await writes("busy")).length);
    for (const { before, current } of written) assert.notDeepEqual(current.status, before?.status);
  });

  it("the status of a segment where nothing happens is not written", async () => {
    assert.deepEqual(await writes("beside"), []);
  });

  keepsGoodConduct(() => installation);
});
