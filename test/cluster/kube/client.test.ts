import assert from "node:assert/strict";
import { ApiError, Unreachable, hasStatus } from "../../../operator/kube/api-error.ts";
import { KubeClient, type ApiRequest } from "../../../operator/kube/client.ts";
import { loadKubeConfig } from "../../../operator/kube/config.ts";
import { CONFIG_MAPS, NAMESPACES, NODES, collectionPath, objectPath } from "../../../operator/kube/resource.ts";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { waitFor } from "../../lab/wait.ts";
import { controlPlane } from "../control-plane.ts";
import { Relay } from "./relay.ts";
import { Workspace } from "./workspace.ts";

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => assert.fail("it succeeded"), (error: unknown) => error);
}

describe("API client", () => {
  const seen: string[] = [];
  let plane: ControlPlane;
  let client: KubeClient;
  let space: Workspace;

  before(async function () {
    this.timeout(90_000);
    plane = await controlPlane();
    client = new KubeClient(loadKubeConfig(plane.kubeconfig, {}), (method, status) => seen.push(`${method} ${status}`));
    space = await Workspace.create(client);
    await space.add("taken", "x");
  });

  after(() => client.close());

  const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "taken" } };
  const cases: readonly {
    name: string; request: (namespace: string) => ApiRequest; status: number; reason: string; message: RegExp;
  }[] = [
    {
      name: "what is not there",
      request: () => ({ method: "GET", path: objectPath(NODES, { name: "gone" }) }),
      status: 404, reason: "NotFound", message: /^GET \/api\/v1\/nodes\/gone: 404 nodes "gone" not found$/,
    },
    {
      name: "a name that is taken",
      request: (namespace) => ({ method: "POST", path: collectionPath(CONFIG_MAPS, namespace), body: configMap }),
      status: 409, reason: "AlreadyExists", message: /^POST .*: 409 configmaps "taken" already exists$/,
    },
    {
      name: "an old resource version",
      request: (namespace) => ({
        method: "PUT", path: objectPath(CONFIG_MAPS, { namespace, name: "taken" }),
        body: { ...configMap, metadata: { name: "taken", resourceVersion: "1" } },
      }),
      status: 409, reason: "Conflict", message: /the object has been modified/,
    },
    {
      name: "an object that is not valid",
      request: () => ({
        method: "POST", path: collectionPath(NAMESPACES),
        body: { apiVersion: "v1", kind: "Namespace", metadata: { name: "No_Name" } },
      }),
      status: 422, reason: "Invalid", message: /metadata\.name: Invalid value: "No_Name"/,
    },
    {
      name: "a path that answers without a Status object",
      request: () => ({ method: "GET", path: "/nowhere/at/all" }),
      status: 404, reason: "", message: /^GET \/nowhere\/at\/all: 404 404 page not found/,
    },
  ];
  for (const { name, request, status, reason, message } of cases) {
    it(`says ${status} ${reason} for ${name}`, async () => {
      seen.length = 0;
      const asked = request(space.namespace);
      const error = await failureOf(client.request(asked));
      assert.ok(error instanceof ApiError);
      assert.deepEqual([error.status, error.reason], [status, reason]);
      assert.match(error.message, message);
      assert.deepEqual(seen, [`${asked.method} ${status}`]);
    });
  }

  it("says 403 Forbidden to a ServiceAccount without rights, by its token alone", async () => {
    const { namespace } = space;
    const created = await plane.kubectl(["create", "serviceaccount", "nobody", "-n", namespace]);
    assert.equal(created.code, 0, created.stderr);
    const nobody = new KubeClient(loadKubeConfig(await plane.kubeconfigFor({ namespace, name: "nobody" }), {}));
    const error = await failureOf(nobody.request({ method: "GET", path: collectionPath(CONFIG_MAPS, namespace) }));
    await nobody.close();
    assert.ok(hasStatus(error, 403), String(error));
    assert.match(String(error), new RegExp(`"system:serviceaccount:${namespace}:nobody" cannot list`));
  });

  it("says 401 for a token that is none, and does not repeat it", async () => {
    const config = loadKubeConfig(plane.kubeconfig, {});
    config.users = [{ name: "user", token: "not-a-token" }];
    const stranger = new KubeClient(config);
    const error = await failureOf(stranger.request({ method: "GET", path: collectionPath(NODES) }));
    await stranger.close();
    assert.ok(hasStatus(error, 401), String(error));
    assert.doesNotMatch(JSON.stringify(error) + String(error), /not-a-token/);
  });

  it("fails a watch as it fails a request", async () => {
    const query = { watch: "true", resourceVersion: "not-a-number" };
    const lines = client.stream({ method: "GET", path: collectionPath(NODES), query });
    const error = await failureOf((async () => { for await (const _ of lines) { /* none is expected */ } })());
    assert.ok(hasStatus(error, 500), String(error));
    assert.match(String(error), /resourceVersion: Invalid value: "not-a-number"/);
  });

  it("ends a watch when its loop is left", async () => {
    const query = { watch: "true", resourceVersion: "0" };
    for await (const lines of client.stream({ method: "GET", path: collectionPath(NAMESPACES), query })) {
      assert.match(lines[0] ?? "", /^\{"type":"ADDED","object":\{/);
      break;
    }
    assert.equal(seen.at(-1), "GET 200");
  });

  describe("when the network fails", () => {
    const request = { method: "GET", path: collectionPath(NODES) } as const;
    let relay: Relay;
    let far: KubeClient;

    beforeEach(async () => {
      relay = await Relay.start(plane.url);
      far = new KubeClient(relay.kubeConfig(plane.kubeconfig), (method, status) => seen.push(`${method} ${status}`));
      await far.request(request);
      seen.length = 0;
    });

    afterEach(async () => {
      await far.close();
      await relay.stop();
    });

    it("is Unreachable after its time without an answer, and works again on a new connection", async () => {
      relay.freeze();
      const error = await failureOf(far.request({ ...request, timeoutMs: 200 }));
      assert.ok(error instanceof Unreachable, String(error));
      assert.match(error.message, /^GET \/api\/v1\/nodes: .*timeout/);
      relay.open();
      const retry = (): Promise<unknown> => far.request({ ...request, timeoutMs: 500 });
      await waitFor("a new connection", retry, { timeoutMs: 10_000 });
    });

    it("gives up in time while it is still connecting", async () => {
      relay.freeze();
      const fresh = new KubeClient(relay.kubeConfig(plane.kubeconfig));
      const start = performance.now();
      const error = await failureOf(fresh.request({ ...request, timeoutMs: 100 }));
      assert.ok(error instanceof Unreachable, String(error));
      assert.ok(performance.now() - start < 1_000, `it took ${performance.now() - start} ms`);
      await fresh.close();
    });

    it("ends with the caller's own reason when the caller aborts", async () => {
      relay.freeze();
      const reason = new Error("the caller changed its mind");
      const abort = new AbortController();
      setTimeout(() => abort.abort(reason), 50);
      assert.equal(await failureOf(far.request({ ...request, signal: abort.signal })), reason);
    });

    it("is Unreachable when nobody listens, with the cause", async () => {
      await relay.stop();
      const error = await failureOf(far.request(request));
      assert.ok(error instanceof Unreachable && error.cause instanceof Error, String(error));
      assert.match(error.message, /ECONNREFUSED|other side closed/);
    });

    it("ends a watch that loses its connection with Unreachable", async () => {
      const query = { watch: "true", resourceVersion: "0" };
      const error = await failureOf((async () => {
        for await (const _ of far.stream({ method: "GET", path: collectionPath(NAMESPACES), query })) relay.cut();
      })());
      assert.ok(error instanceof Unreachable, String(error));
    });
  });
});
