import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeClient } from "../../../operator/kube/client.ts";
import { loadKubeConfig } from "../../../operator/kube/config.ts";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { waitFor } from "../../lab/wait.ts";
import { controlPlane } from "../control-plane.ts";
import { Follower } from "./follower.ts";
import { Relay } from "./relay.ts";
import { Workspace } from "./workspace.ts";

describe("reflector", () => {
  let plane: ControlPlane;
  let client: KubeClient;
  let space: Workspace;
  let follower: Follower | undefined;
  let seen: string[] = [];

  before(async function () {
    this.timeout(90_000);
    plane = await controlPlane();
    client = new KubeClient(loadKubeConfig(plane.kubeconfig, {}), (method, status) => seen.push(`${method} ${status}`));
  });

  beforeEach(async () => {
    space = await Workspace.create(client);
  });

  afterEach(async () => {
    await follower?.stop();
  });

  after(() => client.close());

  it("lists in pages, as one batch, and tells once that it is synced", async () => {
    const names = Array.from({ length: 1201 }, (_, index) => `item-${index}`);
    for (let from = 0; from < names.length; from += 50) {
      await Promise.all(names.slice(from, from + 50).map((name) => space.add(name, "x")));
    }
    seen = [];
    follower = new Follower(client, space.namespace);
    await follower.synced();
    assert.equal(follower.reflector.store.size, 1201);
    assert.deepEqual([follower.batches, follower.changes.length, follower.syncs], [1, 1201, 1]);
    await sleep(200);
    assert.deepEqual(seen, Array.from({ length: 4 }, () => "GET 200"), "three pages and the watch");
  });

  it("is synced with nothing at all, without an empty batch", async () => {
    follower = new Follower(client, space.namespace);
    await follower.synced();
    assert.deepEqual([follower.batches, follower.syncs, follower.content], [0, 1, ""]);
    assert.match(follower.reflector.resourceVersion, /^\d+$/);
  });

  it("follows what is made, changed, deleted and made again", async () => {
    await space.add("a", "1");
    follower = new Follower(client, space.namespace);
    await follower.has({ a: "1" });
    await space.add("b", "1");
    await space.change("a", "2");
    await space.remove("a");
    await space.add("a", "3");
    await follower.has({ a: "3", b: "1" });
    assert.deepEqual(follower.changes, [
      "a: none -> 1", "b: none -> 1", "a: 1 -> 2", "a: 2 -> gone", "a: none -> 3",
    ]);
    assert.equal(follower.mirrored, follower.content);
    assert.deepEqual(follower.errors, []);
  });

  it("loses an object that its selector no longer selects", async () => {
    await space.add("a", "1", { tier: "web" });
    await space.add("b", "1", { tier: "db" });
    follower = new Follower(client, space.namespace, { labelSelector: "tier=web" });
    await follower.has({ a: "1" });
    await space.change("b", "2", { tier: "web" });
    await follower.has({ a: "1", b: "2" });
    await space.change("a", "2", { tier: "db" });
    await follower.has({ b: "2" });
  });

  it("leaves out what it cannot parse, says so once, and goes on", async () => {
    await space.add("a", "bad");
    await space.add("b", "1");
    follower = new Follower(client, space.namespace);
    await follower.has({ b: "1" });
    await space.change("b", "bad");
    await follower.has({});
    await space.change("a", "2");
    await space.remove("b");
    await space.add("c", "1");
    await follower.has({ a: "2", c: "1" });
    assert.deepEqual(follower.errors, ["a", "b"].map((name) => {
      return `Error: ${space.namespace}/${name} is left out: data.value: bad`;
    }));
  });

  it("opens its watch again when the server ends it, and misses nothing in between", async () => {
    follower = new Follower(client, space.namespace, { watchSeconds: 1 });
    await follower.synced();
    seen = [];
    const expected: string[] = [];
    const end = performance.now() + 5_000;
    for (let round = 0; performance.now() < end; round += 1) {
      await space.add("a", `${round}`);
      await space.change("a", `${round}+`);
      await space.remove("a");
      expected.push(`a: none -> ${round}`, `a: ${round} -> ${round}+`, `a: ${round}+ -> gone`);
      await sleep(20);
    }
    await waitFor("the last of it", () => follower?.changes.at(-1) === expected.at(-1) || undefined, {
      timeoutMs: 5_000,
    });
    assert.deepEqual(follower.changes, expected);
    assert.ok(seen.filter((line) => line === "GET 200").length >= 2, "the watch was opened again");
    assert.deepEqual(follower.errors, []);
  });

  it("opens a watch again that has gone silent", async () => {
    const relay = await Relay.start(plane.url);
    const far = new KubeClient(relay.kubeConfig(plane.kubeconfig));
    try {
      follower = new Follower(far, space.namespace, { silenceMs: 1_500 });
      await follower.synced();
      await space.add("a", "1");
      await follower.has({ a: "1" });
      relay.freeze();
      relay.open();
      await space.add("b", "1");
      await sleep(1_000);
      assert.equal(follower.content, "a=1", "the watch is frozen");
      await follower.has({ a: "1", b: "1" }, 3_000);
      assert.deepEqual(follower.errors, []);
    } finally {
      await follower?.stop();
      await far.close();
      await relay.stop();
    }
  });

  it("ends at once when it is aborted, in a watch, in a list and in a pause", async () => {
    const relay = await Relay.start(plane.url);
    const far = new KubeClient(relay.kubeConfig(plane.kubeconfig));
    const endsAtOnce = async (one: Follower): Promise<void> => {
      const start = performance.now();
      await one.stop();
      assert.ok(performance.now() - start < 200, `${performance.now() - start} ms`);
    };
    try {
      const watching = new Follower(far, space.namespace);
      await watching.synced();
      await sleep(100);
      await endsAtOnce(watching);
      assert.deepEqual(watching.errors, []);
      relay.freeze();
      const listing = new Follower(far, space.namespace);
      await sleep(100);
      await endsAtOnce(listing);
      relay.cut();
      const pausing = new Follower(far, space.namespace, { backoff: { firstMs: 60_000, mostMs: 60_000 } });
      await waitFor("a failure", () => pausing.errors.length > 0 || undefined, { timeoutMs: 10_000 });
      await endsAtOnce(pausing);
    } finally {
      await far.close();
      await relay.stop();
    }
  });
});
