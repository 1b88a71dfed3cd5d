import assert from "node:assert/strict";
import { collectionPath, objectPath, PODS } from "../../../operator/kube/resource.ts";
import type { Call } from "./audit-log.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, segmentPolicy } from "./segment.ts";

/** 10,000 pods take an API server half a minute: where the run is to be quick, fewer have to do. */
const EACH = process.env["TIERWALL_THOROUGH"] === "1" ? 5_000 : 500;
const MOVED = 100;
const IN_FLIGHT = 24;
const POLICY_RECONCILES = 'controller_runtime_reconcile_total{controller="segmentpolicy",result="success"}';
/** The same SegmentPolicy over a namespace full of pods and over one without. */
const [CROWDED, EMPTY] = ["crowded", "empty"] as const;

describe(`the operator: a namespace with ${2 * EACH} pods`, function () {
  this.timeout(300_000);
  let installation: Installation;
  let operator: OperatorProcess;

  before(async () => {
    // Nothing but the API server: no controller is to touch that many pods.
    installation = await Installation.start({});
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: CROWDED } };
    await installation.apply(namespace(CROWDED, CROWDED), namespace(EMPTY, EMPTY), account);
    await installation.apply(segmentPolicy(CROWDED), segmentPolicy(EMPTY));
    operator = await installation.startOperator("crowd");
    await operator.untilReady();
    await operator.untilLeading();
    for (const segment of [CROWDED, EMPTY]) await installation.until(segment, "Ready", "True");
    // The echoes of the writes have been looked at.
    await calm();
  });

  after(() => installation?.stop());

  async function forEach(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
    const indices = Array.from({ length: count }, (_, index) => index).values();
    await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
      for (const index of indices) await work(index);
    }));
  }

  function start(index: number): Promise<unknown> {
    const metadata = { name: `pod-${index}`, labels: { tier: index < EACH ? "web" : "db" } };
    const spec = { automountServiceAccountToken: false, containers: [{ name: "server", image: "none" }] };
    const body = { apiVersion: "v1", kind: "Pod", metadata, spec };
    return installation.client.request({ method: "POST", path: collectionPath(PODS, CROWDED), body });
  }

  function move(index: number): Promise<unknown> {
    const path = objectPath(PODS, { namespace: CROWDED, name: `pod-${index}` });
    const body = { metadata: { labels: { tier: "db" } } };
    return installation.client.request({ method: "PATCH", path, body, contentType: "application/merge-patch+json" });
  }

  async function counted(web: number, db: number): Promise<void> {
    const wanted = JSON.stringify([{ name: "web", pods: web }, { name: "db", pods: db }]);
    await installation.untilShown(CROWDED, wanted, ({ tiers }) => JSON.stringify(tiers) === wanted, 60_000);
  }

  /** What the operator asked of the API server, its Lease left out, as `<verb> <resource>`. */
  async function asked(mark: number): Promise<readonly string[]> {
    const credential = await installation.credentialOf(operator);
    const calls = await installation.audit.calls(mark);
    // A watch that ends is asked for again, and costs nobody anything.
    const own = ({ credential: whose, resource, verb }: Call) => whose === credential && resource !== "leases" && verb !== "watch";
    return calls.filter(own).map(({ verb, resource }) => `${verb} ${resource}`);
  }

  it("its pods come, change and are counted, and nobody looks at what is written for the segment", async () => {
    const looked = await operator.metric(POLICY_RECONCILES);
    const mark = await installation.audit.mark();
    await forEach(2 * EACH, start);
    await counted(EACH, EACH);
    await forEach(MOVED, move);
    await counted(EACH - MOVED, EACH + MOVED);
    assert.equal(await operator.metric(POLICY_RECONCILES), looked);
    assert.deepEqual([...new Set(await asked(mark))], ["patch segmentpolicies/status"]);
  });

  it("an edit of its SegmentPolicy asks for no more than one without pods", async () => {
    const tiers = [{ name: "web", ingress: [{ from: [{ anywhere: {} }], ports: [{ port: 9090 }] }] }, { name: "db" }];
    const requests: (readonly string[])[] = [];
    for (const segment of [CROWDED, EMPTY]) {
      const mark = await installation.audit.mark();
      await installation.apply(segmentPolicy(segment, { tiers }));
      await installation.until(segment, "Ready", "True");
      await calm();
      requests.push((await asked(mark)).filter((what) => what.endsWith(" networkpolicies")));
    }
    const [crowded = [], empty = []] = requests;
    assert.ok(empty.length > 0);
    assert.deepEqual(crowded, empty);
  });

  keepsGoodConduct(() => installation);
});
