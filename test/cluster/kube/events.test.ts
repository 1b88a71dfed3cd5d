import assert from "node:assert/strict";
import { KubeClient } from "../../../operator/kube/client.ts";
import { loadKubeConfig } from "../../../operator/kube/config.ts";
import { EventRecorder, type Occurrence } from "../../../operator/kube/events.ts";
import { collectionPath, EVENTS } from "../../../operator/kube/resource.ts";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { VirtualClock } from "../../unit/kube/virtual-clock.ts";
import { controlPlane } from "../control-plane.ts";
import { Relay } from "./relay.ts";
import { Workspace } from "./workspace.ts";

interface StoredEvent {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly regarding: { readonly uid: string; readonly kind: string };
  readonly type: string;
  readonly reason: string;
  readonly action: string;
  readonly note: string;
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
}

describe("event recorder", () => {
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace = "";
  let serial = 0;

  before(async function () {
    this.timeout(90_000);
    plane = await controlPlane();
    client = new KubeClient(loadKubeConfig(plane.kubeconfig, {}));
    ({ namespace } = await Workspace.create(client));
  });

  after(() => client.close());

  function recorder(by = client): { events: EventRecorder; clock: VirtualClock; errors: unknown[] } {
    const clock = new VirtualClock();
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const names = { component: "tierwall-operator", instance: "tierwall-operator-0" };
    return { events: new EventRecorder({ client: by, clock, ...names, onError }), clock, errors };
  }

  /** About a new object each time, so that tests do not see each other's. */
  function occurrence(over: Partial<Occurrence> = {}): Occurrence {
    const uid = `uid-${serial += 1}-${namespace}`;
    return {
      regarding: { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", namespace, name: "shop-db", uid },
      type: "Warning", reason: "NameConflict", message: "not ours", ...over,
    };
  }

  async function stored({ regarding }: Occurrence): Promise<readonly StoredEvent[]> {
    const answer = await client.request({ method: "GET", path: collectionPath(EVENTS) });
    const { items } = answer as { readonly items: readonly StoredEvent[] };
    return items.filter((event) => event.regarding.uid === regarding.uid);
  }

  it("tells what happened to an object, in its namespace", async () => {
    const { events, errors } = recorder();
    const told = occurrence({ action: "Applying" });
    events.record(told);
    await events.settled();
    assert.deepEqual(errors, []);
    const [event, ...others] = await stored(told);
    assert.deepEqual(others, []);
    assert.ok(event !== undefined);
    assert.match(event.metadata.name, /^shop-db-\w+$/);
    const { type, reason, action, note, eventTime, reportingController, reportingInstance } = event;
    assert.deepEqual({ type, reason, action, note, eventTime, reportingController, reportingInstance }, {
      type: "Warning", reason: "NameConflict", action: "Applying", note: "not ours",
      eventTime: "2030-01-01T00:00:00.000000Z",
      reportingController: "tierwall-operator", reportingInstance: "tierwall-operator-0",
    });
    const shown = await plane.kubectl(["get", "events", "-n", namespace]);
    assert.match(shown.stdout, /Warning +NameConflict +networkpolicy\/shop-db +not ours/);
  });

  it("tells what happened to a cluster-scoped object in the default namespace", async () => {
    const { events, errors } = recorder();
    const { uid } = occurrence().regarding;
    const regarding = { apiVersion: "tierwall.io/v1alpha1", kind: "SegmentPolicy", name: "shop", uid };
    const told = occurrence({ regarding, type: "Normal" });
    events.record(told);
    await events.settled();
    assert.deepEqual(errors, []);
    assert.deepEqual((await stored(told)).map(({ metadata, type }) => `${metadata.namespace} ${type}`), [
      "default Normal",
    ]);
  });

  it("drops repeats for ten minutes, for each object, reason and message on its own", async () => {
    const { events, clock } = recorder();
    const told = occurrence();
    for (let round = 0; round < 5; round += 1) events.record(told);
    events.record({ ...told, message: "not ours either" });
    await events.settled();
    await clock.advance(10 * 60_000 - 1);
    events.record(told);
    await events.settled();
    assert.deepEqual((await stored(told)).map(({ note }) => note).sort(), ["not ours", "not ours either"]);
    await clock.advance(1);
    events.record(told);
    await events.settled();
    assert.deepEqual((await stored(told)).map(({ note }) => note).sort(), ["not ours", "not ours", "not ours either"]);
  });

  it("cuts what is too long for the server, and never half a character", async () => {
    const { events, errors } = recorder();
    const told = occurrence({ message: `${"x".repeat(1023)}ü${"y".repeat(5000)}`, reason: "R".repeat(200) });
    const long = { ...told, regarding: { ...told.regarding, name: `${"n".repeat(49)}.${"x".repeat(203)}` } };
    events.record(long);
    await events.settled();
    assert.deepEqual(errors, []);
    assert.deepEqual((await stored(long)).map(({ note, reason }) => [note, reason]), [
      ["x".repeat(1023), "R".repeat(128)],
    ]);
  });

  it("reports what cannot be told, and tries its next repeat again", async () => {
    const { events, errors } = recorder();
    const lost = occurrence();
    const regarding = { ...lost.regarding, namespace: "no-such-namespace" };
    for (let round = 1; round <= 2; round += 1) {
      events.record({ ...lost, regarding });
      await events.settled();
      assert.equal(errors.length, round);
    }
    assert.match(String(errors[0]), /404 namespaces "no-such-namespace" not found/);
  });

  it("does not pile up while the server is silent", async () => {
    const relay = await Relay.start(plane.url);
    relay.freeze();
    const silent = new KubeClient(relay.kubeConfig(plane.kubeconfig));
    const { events, errors } = recorder(silent);
    for (let round = 0; round < 80; round += 1) events.record(occurrence());
    assert.equal(errors.length, 30);
    assert.match(String(errors[0]), /Event NameConflict about NetworkPolicy shop-db is dropped: 50 are under way/);
    await silent.close();
    await relay.stop();
    await events.settled();
    assert.equal(errors.length, 80);
  });
});
