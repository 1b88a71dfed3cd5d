import assert from "node:assert/strict";
import { ApiError } from "../../../operator/kube/api-error.ts";
import { applyPatch, applyStatus, create, deleteObject, type ApiObject } from "../../../operator/kube/apply.ts";
import { KubeClient } from "../../../operator/kube/client.ts";
import { loadKubeConfig } from "../../../operator/kube/config.ts";
import { DEPLOYMENTS, NETWORK_POLICIES, objectPath, type Resource } from "../../../operator/kube/resource.ts";
import { controlPlane } from "../control-plane.ts";
import { uidOf, Workspace } from "./workspace.ts";

const OTHER_UID = "11111111-2222-3333-4444-555555555555";

async function refusalOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(() => "accepted", (error: unknown) => {
    assert.ok(error instanceof ApiError, String(error));
    return `${error.status} ${error.reason}`;
  });
}

describe("create, apply and delete", () => {
  let client: KubeClient;
  let namespace = "";
  let serial = 0;
  let name = "";

  before(async function () {
    this.timeout(90_000);
    client = new KubeClient(loadKubeConfig((await controlPlane()).kubeconfig, {}));
    ({ namespace } = await Workspace.create(client));
  });

  beforeEach(() => {
    name = `object-${serial += 1}`;
  });

  after(() => client.close());

  const ours = { fieldManager: "tierwall" };

  /** Isolates the pods and allows nothing, or the rules given. */
  function policy(rules: { readonly uid?: string; readonly ingress?: readonly unknown[] } = {}): ApiObject {
    const { uid, ingress = [] } = rules;
    const object = {
      apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy",
      metadata: { namespace, name, ...(uid !== undefined && { uid }) },
      spec: { podSelector: {}, policyTypes: ["Ingress"], ingress, egress: [] },
    };
    return object;
  }

  async function read(resource: Resource): Promise<{ readonly spec: unknown; readonly status?: unknown }> {
    const answer = await client.request({ method: "GET", path: objectPath(resource, { namespace, name }) });
    return answer as { readonly spec: unknown; readonly status?: unknown };
  }

  it("creates what is sent, a rule's `from` included", async () => {
    const ingress = [{ from: [{ podSelector: { matchLabels: { tier: "a" } } }] }];
    await create(client, NETWORK_POLICIES, policy({ ingress }), ours);
    assert.deepEqual(await read(NETWORK_POLICIES), {
      ...await read(NETWORK_POLICIES), spec: { podSelector: {}, policyTypes: ["Ingress"], ingress },
    });
  });

  it("never adopts an object by creating it", async () => {
    await create(client, NETWORK_POLICIES, policy(), { fieldManager: "somebody-else" });
    assert.equal(await refusalOf(create(client, NETWORK_POLICIES, policy(), ours)), "409 AlreadyExists");
  });

  it("refuses a field that the kind does not have", async () => {
    const object = { ...policy(), spec: { podSelector: {}, ingres: [] } };
    assert.equal(await refusalOf(create(client, NETWORK_POLICIES, object, ours)), "400 BadRequest");
  });

  it("applies to the object with the uid, and takes away what is no longer sent", async () => {
    const allowAll = policy({ ingress: [{}] });
    const uid = uidOf(await applyPatch(client, NETWORK_POLICIES, allowAll, ours));
    await applyPatch(client, NETWORK_POLICIES, policy({ uid }), { ...ours, force: true });
    assert.deepEqual((await read(NETWORK_POLICIES)).spec, { podSelector: {}, policyTypes: ["Ingress"] });
  });

  it("takes over an object made by POST with the same field manager", async () => {
    const uid = uidOf(await create(client, NETWORK_POLICIES, policy({ ingress: [{}] }), ours));
    await applyPatch(client, NETWORK_POLICIES, policy({ uid }), { ...ours, force: true });
    assert.deepEqual((await read(NETWORK_POLICIES)).spec, { podSelector: {}, policyTypes: ["Ingress"] });
  });

  const appliedElsewhere: readonly { name: string; exists: boolean; refusal: string }[] = [
    { name: "another object's by now", exists: true, refusal: "422 Invalid" },
    { name: "nobody's any more", exists: false, refusal: "409 Conflict" },
  ];
  for (const { name: what, exists, refusal } of appliedElsewhere) {
    for (const force of [true, false]) {
      it(`says ${refusal} if the name is ${what} (force: ${force}), and changes nothing`, async () => {
        if (exists) await create(client, NETWORK_POLICIES, policy(), ours);
        const stale = policy({ uid: OTHER_UID, ingress: [{}] });
        assert.equal(await refusalOf(applyPatch(client, NETWORK_POLICIES, stale, { ...ours, force })), refusal);
        if (!exists) return assert.equal(await refusalOf(read(NETWORK_POLICIES)), "404 NotFound");
        assert.deepEqual((await read(NETWORK_POLICIES)).spec, { podSelector: {}, policyTypes: ["Ingress"] });
      });
    }
  }

  it("says 409 for a field of another manager, unless forced", async () => {
    await applyPatch(client, NETWORK_POLICIES, policy(), { fieldManager: "somebody-else" });
    const wanted = policy({ ingress: [{}] });
    assert.equal(await refusalOf(applyPatch(client, NETWORK_POLICIES, wanted, ours)), "409 Conflict");
    assert.equal(await refusalOf(applyPatch(client, NETWORK_POLICIES, wanted, { ...ours, force: true })), "accepted");
  });

  it("deletes the object with the uid only, and is content if it is gone", async () => {
    const uid = uidOf(await create(client, NETWORK_POLICIES, policy(), ours));
    const remove = (wanted: string): Promise<string> => {
      return refusalOf(deleteObject(client, NETWORK_POLICIES, { namespace, name }, wanted));
    };
    assert.equal(await remove(OTHER_UID), "409 Conflict");
    assert.equal(await remove(uid), "accepted");
    assert.equal(await refusalOf(read(NETWORK_POLICIES)), "404 NotFound");
    assert.equal(await remove(uid), "accepted");
  });

  it("applies a status and leaves the spec alone", async () => {
    const labels = { app: "x" };
    const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "none" }] } };
    const head = { apiVersion: "apps/v1", kind: "Deployment", metadata: { namespace, name } };
    const spec = { replicas: 3, selector: { matchLabels: labels }, template };
    const deployment = { ...head, spec };
    await create(client, DEPLOYMENTS, deployment, ours);
    const before = await read(DEPLOYMENTS);
    const report = { ...head, status: { replicas: 2 } };
    await applyStatus(client, DEPLOYMENTS, report, ours);
    const { spec: after, status } = await read(DEPLOYMENTS);
    assert.deepEqual(after, before.spec);
    assert.deepEqual(status, { replicas: 2 });
  });
});
