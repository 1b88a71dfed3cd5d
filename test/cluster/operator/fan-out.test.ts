import assert from "node:assert/strict";
import { canonicalJson } from "../../../operator/api/canonical-json.ts";
import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, partsOf, SEGMENT_LABEL, segmentPolicy } from "./segment.ts";

describe("the operator: one SegmentPolicy in many namespaces", function () {
  this.timeout(60_000);
  let installation: Installation;
  let operator: OperatorProcess;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    operator = await installation.startOperator("fan-out");
    await operator.untilReady();
  });

  after(() => installation?.stop());

  async function namesOf(policy: string): Promise<readonly string[]> {
    return partsOf(await installation.policy(policy)).map(({ name }) => name);
  }

  async function untilCounted(policy: string, namespaces: number): Promise<void> {
    const summary = `${namespaces}/${namespaces}`;
    const wanted = canonicalJson({ matched: namespaces, applied: namespaces, summary });
    await installation.untilShown(policy, summary, (status) => canonicalJson(status.namespaces) === wanted);
  }

  it("writes what compile says into every matching namespace, and into no other", async () => {
    await installation.apply(namespace("shop-dev", "shop"), namespace("shop-prod", "shop"));
    await installation.apply(namespace("else", "another"), segmentPolicy("shop"));
    const shown = await installation.until("shop", "Ready", "True");
    const wanted = new Map(partsOf(shown).map(({ name, spec }) => [name, canonicalJson(spec)]));
    assert.equal(wanted.size, 4);
    for (const place of ["shop-dev", "shop-prod"]) {
      const found = (await installation.networkPolicies(place)).map(readNetworkPolicy);
      assert.deepEqual(new Map(found.map(({ metadata, spec }) => [metadata.name, canonicalJson(spec)])), wanted);
    }
    assert.deepEqual(await installation.networkPolicies("else"), []);
  });

  it("names the SegmentPolicy as the controller of what it wrote, and copies none of its labels", async () => {
    const { metadata: { uid } } = await installation.policy("shop");
    await installation.kubectl("label", "segpol/shop", "app.kubernetes.io/instance=argo");
    await calm(500);
    for (const { metadata } of await installation.networkPolicies("shop-dev")) {
      const owner = { apiVersion: "tierwall.io/v1alpha1", kind: "SegmentPolicy", name: "shop", uid };
      assert.deepEqual(metadata.ownerReferences, [{ ...owner, controller: true, blockOwnerDeletion: false }]);
      assert.equal(metadata.labels?.["app.kubernetes.io/instance"], undefined);
      assert.equal(metadata.labels?.["tierwall.io/policy"], "shop");
    }
  });

  it("shows in `kubectl get segpol` how many namespaces and policies there are, and that it is ready", async () => {
    const [header = "", row = ""] = (await installation.kubectl("get", "segpol", "shop")).split("\n");
    const columns = ["NAME", "MODE", "NAMESPACES", "POLICIES", "NODES", "READY", "REASON", "AGE"];
    assert.deepEqual(header.trim().split(/\s+/), columns);
    assert.match(row, /^shop\s+Enforce\s+2\/2\s+8\s+True\s+Applied\s+\d+s\s*$/);
  });

  it("follows a namespace that gains and loses the label", async () => {
    const names = await namesOf("shop");
    await installation.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop-late" } });
    await calm(500);
    assert.deepEqual(await installation.networkPolicies("shop-late"), []);
    await installation.kubectl("label", "namespace/shop-late", `${SEGMENT_LABEL}=shop`);
    await installation.untilNamed("shop-late", names);
    const mark = await installation.audit.mark();
    await installation.kubectl("label", "namespace/shop-late", `${SEGMENT_LABEL}-`);
    await installation.untilNamed("shop-late", []);
    await installation.untilNamed("shop-dev", names);
    const writes = (await installation.audit.segmentWrites(mark)).filter((call) => call.resource === "networkpolicies");
    assert.deepEqual(writes.map((call) => `${call.verb} ${call.namespace}`), names.map(() => "delete shop-late"));
  });

  it("counts only the namespaces that match", async () => {
    await untilCounted("shop", 2);
    assert.equal((await installation.policy("shop")).status.networkPolicies, 8);
  });

  it("leaves a terminating namespace alone, and is ready without it", async () => {
    // An object with a finalizer keeps it terminating; the NetworkPolicies taken from it must not come back.
    await installation.apply(namespace("shop-going", "shop"));
    const names = await namesOf("shop");
    await installation.untilNamed("shop-going", names);
    const keeper = { name: "keeper", namespace: "shop-going", finalizers: ["example.com/keep"] };
    await installation.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: keeper });
    await installation.kubectl("delete", "namespace", "shop-going", "--wait=false");
    await installation.untilNamed("shop-going", [], 30_000);
    const mark = await installation.audit.mark();
    await calm();
    const writes = await installation.audit.segmentWrites(mark);
    assert.deepEqual(writes.filter((call) => call.namespace === "shop-going"), []);
    await untilCounted("shop", 2);
    await installation.until("shop", "Ready", "True");
    const release = '--patch={"metadata":{"finalizers":null}}';
    await installation.kubectl("patch", "configmap/keeper", "--namespace=shop-going", "--type=merge", release);
  });

  it("follows an edit in every namespace", async () => {
    const edited = segmentPolicy("shop", { defaultDeny: "TierPods" });
    await installation.apply(edited);
    const shown = await installation.until("shop", "Ready", "True");
    const names = partsOf(shown).map(({ name }) => name);
    assert.equal(names.length, 3);
    for (const place of ["shop-dev", "shop-prod"]) await installation.untilNamed(place, names);
  });

  it("warns of a segment without namespaces, and is ready", async () => {
    await installation.apply(segmentPolicy("nowhere"));
    const { status } = await installation.until("nowhere", "Ready", "True");
    const warnings = status.conditions?.find(({ type }) => type === "Warnings");
    assert.match(warnings?.message ?? "", /no namespace matches/);
  });

  keepsGoodConduct(() => installation);
});
