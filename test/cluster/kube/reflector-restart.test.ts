import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { KubeClient, type ApiClient } from "../../../operator/kube/client.ts";
import { loadKubeConfig } from "../../../operator/kube/config.ts";
import { ControlPlane } from "../../lab/control-plane.ts";
import { waitFor } from "../../lab/wait.ts";
import { ApiServerProcess } from "./api-server-process.ts";
import { Follower } from "./follower.ts";
import { Relay } from "./relay.ts";
import { Workspace } from "./workspace.ts";

/** The real client, but its watches ask for a version that the server has long forgotten, until it lists again. */
function forgotten(client: ApiClient): ApiClient {
  let lists = 0;
  return {
    request: (request) => {
      lists += 1;
      return client.request(request);
    },
    stream: (request) => {
      return client.stream({ ...request, query: { ...request.query, ...(lists < 2 && { resourceVersion: "1" }) } });
    },
  };
}

describe("reflector and a server that is killed and started again", function () {
  this.timeout(90_000);
  let plane: ControlPlane;
  let server: ApiServerProcess;
  let client: KubeClient;
  let follower: Follower | undefined;

  before(async () => {
    plane = await ControlPlane.start();
    server = new ApiServerProcess(plane);
    client = new KubeClient(loadKubeConfig(plane.kubeconfig, {}));
  });

  afterEach(() => follower?.stop());

  after(async () => {
    await client.close();
    await server.stop();
    await plane.stop();
  });

  it("lists anew when its version is too old, and tells the difference only", async () => {
    // A server that was there from the start still knows the first version: one that came later does not.
    await server.kill();
    await server.start();
    const space = await Workspace.create(client);
    await space.add("a", "1");
    follower = new Follower(forgotten(client), space.namespace);
    await waitFor("the refusal", () => follower?.errors.length === 1 || undefined, { timeoutMs: 5_000, everyMs: 1 });
    await space.add("b", "1");
    await space.remove("a");
    await follower.has({ b: "1" });
    await space.change("b", "2");
    await follower.has({ b: "2" });
    assert.equal(follower.mirrored, "b=2");
    assert.equal(follower.syncs, 1);
    assert.match(follower.errors.join(), /^ApiError: WATCH \S+: 410 too old resource version: 1 \(\d+\)$/);
  });

  it("sees what happened while it was cut off: new, changed, deleted, and made again", async () => {
    const space = await Workspace.create(client);
    const relay = await Relay.start(plane.url);
    const far = new KubeClient(relay.kubeConfig(plane.kubeconfig));
    try {
      for (const name of ["kept", "changed", "deleted", "remade"]) await space.add(name, "1");
      follower = new Follower(far, space.namespace);
      await follower.has({ kept: "1", changed: "1", deleted: "1", remade: "1" });
      const before = follower.changes.length;
      relay.cut();
      await space.remove("deleted");
      await space.remove("remade");
      await server.kill();
      await server.start();
      await space.add("new", "1");
      await space.change("changed", "2");
      await space.add("remade", "1");
      relay.open();
      await follower.has({ kept: "1", changed: "2", remade: "1", new: "1" });
      assert.deepEqual(follower.changes.slice(before).sort(), [
        "changed: 1 -> 2", "deleted: 1 -> gone", "new: none -> 1", "remade: 1 -> gone", "remade: none -> 1",
      ]);
      assert.equal(follower.mirrored, follower.content);
      assert.equal(follower.syncs, 1);
      assert.match(follower.errors.join("\n"), /410 too old resource version/);
    } finally {
      await follower?.stop();
      await far.close();
      await relay.stop();
    }
  });

  it("misses nothing of a writer that goes on all the time", async () => {
    const space = await Workspace.create(client);
    follower = new Follower(client, space.namespace);
    await follower.synced();
    const expected = new Map<string, string>();
    const writing = new AbortController();
    let failures = 0;
    const writer = (async () => {
      for (let round = 0; !writing.signal.aborted; round += 1) {
        const name = `item-${round % 20}`;
        try {
          await writeOnce(space, expected, name, `round-${round}`);
        } catch {
          // Whether this write took place is unknown now: its name is left to the end, when it can be asked.
          failures += 1;
          expected.delete(name);
          await sleep(20);
        }
      }
    })();
    await sleep(500);
    await server.kill();
    await sleep(500);
    await server.start();
    await sleep(1_000);
    writing.abort();
    await writer;
    assert.ok(failures > 0, "the writer noticed that the server was gone");
    for (let item = 0; item < 20; item += 1) {
      const name = `item-${item}`;
      await space.remove(name).catch(() => undefined);
      if (item % 2 === 0) continue;
      await space.add(name, "last");
    }
    const last = Array.from({ length: 10 }, (_, index) => [`item-${2 * index + 1}`, "last"] as const);
    await follower.has(Object.fromEntries(last));
    assert.equal(follower.mirrored, follower.content);
    assert.ok(follower.errors.length > 0, "the reflector noticed that the server was gone");
  });
});

/** Makes, changes or deletes the object, by turns. */
async function writeOnce(space: Workspace, known: Map<string, string>, name: string, value: string): Promise<void> {
  if (!known.has(name)) {
    await space.remove(name).catch(() => undefined);
    await space.add(name, value);
    known.set(name, value);
  } else if (value.endsWith("3")) {
    await space.remove(name);
    known.delete(name);
  } else {
    await space.change(name, value);
    known.set(name, value);
  }
}
