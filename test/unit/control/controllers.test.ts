import assert from "node:assert/strict";

import { DEFAULT_SETTINGS, enforcerSettings } from "../../../operator/api/settings.ts";
import { ChangeRouter } from "../../../operator/control/change-router.ts";
import { ClusterFacts } from "../../../operator/control/cluster-facts.ts";
import { ClusterWatch } from "../../../operator/control/cluster-watch.ts";
import { Controllers } from "../../../operator/control/controllers.ts";
import { OPERATOR_LABELS, ownRoad } from "../../../operator/control/own-road.ts";
import { PolicyAnnouncer } from "../../../operator/control/policy-announcer.ts";
import { PolicyView } from "../../../operator/control/policy-view.ts";
import { Publisher } from "../../../operator/control/publisher.ts";
import { Reachability } from "../../../operator/control/reachability.ts";
import type { ApiClient } from "../../../operator/kube/client.ts";
import { sleep, SYSTEM_CLOCK } from "../../../operator/kube/clock.ts";
import { EventRecorder } from "../../../operator/kube/events.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { StreamHub } from "../../../operator/stream/hub.ts";
import { Metrics } from "../../../operator/telemetry/metrics.ts";

const NODE = "node-a";
const LABELS = { segment: "shop" };
/** By plural; of all other kinds there is nothing. */
const OBJECTS: Readonly<Record<string, object>> = {
  namespaces: { metadata: { name: "one", uid: "n", labels: LABELS } },
  pods: {
    metadata: { namespace: "one", name: "db-0", uid: "p", labels: { tier: "db" } },
    spec: { nodeName: NODE },
    status: { phase: "Running", podIPs: [{ ip: "10.1.0.1" }] },
  },
  segmentpolicies: {
    metadata: { name: "shop", uid: "s", generation: 1 },
    spec: { namespaceSelector: { matchLabels: LABELS }, mode: "Audit", tiers: [{ name: "db" }] },
  },
};

/** The way to an API server that answers lists, and whose watches show nothing. */
const LISTS: ApiClient = {
  async request({ path }) {
    const object = OBJECTS[path.split("/").at(-1) ?? ""];
    return { metadata: { resourceVersion: "1" }, items: object === undefined ? [] : [object] };
  },
  async *stream({ signal = AbortSignal.abort() }) {
    await sleep(SYSTEM_CLOCK, 60_000, signal);
    yield [];
  },
};

/** The rooms of a replica that does not lead. */
function replica(client: ApiClient) {
  const [settings, namespace, clock, random] = [DEFAULT_SETTINGS, "tierwall-system", SYSTEM_CLOCK, Math.random];
  const quiet = () => undefined;
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const [view, metrics, resolver] = [new PolicyView(), new Metrics(), new Resolver({ enforce: "Segments" })];
  const watch = new ClusterWatch({ client, clock, random, log, reachability: new Reachability("", log) }, []);
  const hub = new StreamHub({
    version: "1", settings: enforcerSettings(settings), state: (node) => resolver.nodeState(node), monotonic: () => 0,
  });
  const publisher = new Publisher({ resolver, hub, versions: () => watch.changedVersions, marksChanged: quiet });
  const events = new EventRecorder({ client, clock, component: "test", instance: "test", onError: quiet });
  const controllers = new Controllers({
    client, watch, view, resolver, settings, namespace, clock, random, log, metrics, events,
    facts: new ClusterFacts({ watch, view, resolver, settings, namespace }),
    announcer: new PolicyAnnouncer(events, metrics), publisher: () => publisher, advertise: undefined,
    isLeader: () => false,
  });
  const router = new ChangeRouter({
    resolver, view, work: controllers, segmentPolicies: watch.segmentPolicies.store,
    segmentNodes: watch.segmentNodes.store,
    ownRoad: () => ownRoad({ namespace, labels: OPERATOR_LABELS, settings, apiServer: watch.apiServer }),
  });
  return { watch, router, controllers, resolver };
}

describe("the controllers of a replica", () => {
  const { watch, router, controllers, resolver } = replica(LISTS);
  const stop = new AbortController();
  after(async () => {
    stop.abort();
    await controllers.stop();
  });

  it("have handed over what is audited when they open: the first that a node hears holds it", async () => {
    void watch.follow(router, stop.signal);
    while (!watch.synced) await watch.nextSync(stop.signal);
    controllers.open();
    resolver.takeChanges();
    const audits = [...resolver.nodeState(NODE).pods.values()].flatMap((pod) => pod.audits ?? []);
    assert.deepEqual(audits.map(({ policy, tier }) => ({ policy, tier })), [{ policy: "shop", tier: "db" }]);
  });
});
