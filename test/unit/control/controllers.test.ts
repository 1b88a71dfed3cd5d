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
import { waitFor } from "../../lab/wait.ts";

const NODE = "node-a";
const LABELS = { segment: "shop" };
const SOON = { timeoutMs: 1_500, everyMs: 5 };
const NAMESPACE = { metadata: { name: "one", uid: "n", labels: LABELS } };
const POD = {
  metadata: { namespace: "one", name: "db-0", uid: "p", labels: { tier: "db" } },
  spec: { nodeName: NODE },
  status: { phase: "Running", podIPs: [{ ip: "10.1.0.1" }] },
};
const AUDITED = {
  metadata: { name: "shop", uid: "s", generation: 1 },
  spec: { namespaceSelector: { matchLabels: LABELS }, mode: "Audit", tiers: [{ name: "db" }] },
};

/** By plural; of all other kinds there is nothing. */
type Objects = Readonly<Record<string, readonly object[]>>;

/** The way to an API server that answers lists and takes every write, and whose watches show what they are told to. */
function apiServer(objects: Objects) {
  const written: string[] = [];
  const watches = new Map<string, (object: object) => void>();
  const client: ApiClient = {
    async request({ method, path }) {
      if (method !== "GET") written.push(`${method} ${path}`);
      return { metadata: { resourceVersion: "1" }, items: objects[path.split("/").at(-1) ?? ""] ?? [] };
    },
    async *stream({ path, signal = AbortSignal.abort() }) {
      const stop = new AbortController();
      let gone: object | undefined;
      watches.set(path.split("/").at(-1) ?? "", (object) => {
        gone = object;
        stop.abort();
      });
      await sleep(SYSTEM_CLOCK, 60_000, AbortSignal.any([signal, stop.signal]));
      yield gone === undefined ? [] : [JSON.stringify({ type: "DELETED", object: gone })];
    },
  };
  return { client, written, watches };
}

/** The rooms of a replica. */
function replica(client: ApiClient, leads: boolean) {
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
    isLeader: () => leads,
  });
  const router = new ChangeRouter({
    resolver, view, work: controllers, segmentPolicies: watch.segmentPolicies.store,
    segmentNodes: watch.segmentNodes.store,
    ownRoad: () => ownRoad({ namespace, labels: OPERATOR_LABELS, settings, apiServer: watch.apiServer }),
  });
  return { watch, router, controllers, resolver };
}

describe("the controllers of a replica", () => {
  const ends: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  /** Opened, with what the first that a node hears holds. */
  async function opened(objects: Objects, leads = false) {
    const { client, written, watches } = apiServer(objects);
    const { watch, router, controllers, resolver } = replica(client, leads);
    const stop = new AbortController();
    ends.push(async () => {
      stop.abort();
      await controllers.stop();
    });
    void watch.follow(router, stop.signal);
    while (!watch.synced) await watch.nextSync(stop.signal);
    controllers.open();
    resolver.takeChanges();
    return { written, watches, pods: [...resolver.nodeState(NODE).pods.values()] };
  }

  it("have handed over what is audited when they open: the first that a node hears holds it", async () => {
    const { pods } = await opened({ namespaces: [NAMESPACE], pods: [POD], segmentpolicies: [AUDITED] });
    const audits = pods.flatMap((pod) => pod.audits ?? []);
    assert.deepEqual(audits.map(({ policy, tier }) => ({ policy, tier })), [{ policy: "shop", tier: "db" }]);
  });

  it("make the SegmentNodes of all nodes when the CNI that enforced has gone", async () => {
    const cni = { metadata: { namespace: "kube-system", name: "calico-node", uid: "c", resourceVersion: "2" } };
    const nodes = [{ metadata: { name: NODE, uid: "k" }, status: { nodeInfo: { operatingSystem: "linux" } } }];
    const { written, watches } = await opened({ nodes, daemonsets: [cni] }, true);
    const end = await waitFor("the watch", () => watches.get("daemonsets"), SOON);
    // What was asked for when it opened has been looked at by then.
    await sleep(SYSTEM_CLOCK, 50, AbortSignal.timeout(1_000));
    assert.deepEqual(written, []);
    end(cni);
    await waitFor("a write", () => written.length > 0 || undefined, SOON);
    assert.deepEqual(written, ["POST /apis/tierwall.io/v1alpha1/segmentnodes"]);
  });

  const part = (kind: string) => ({
    metadata: {
      namespace: "one", name: `shop-${kind}`, uid: kind, managedFields: [{ manager: "tierwall" }],
      labels: { "app.kubernetes.io/managed-by": "tierwall", "tierwall.io/policy": "shop", "tierwall.io/part": kind },
      ownerReferences: [
        { apiVersion: "tierwall.io/v1alpha1", kind: "SegmentPolicy", name: "shop", uid: "s", controller: true },
      ],
    },
    spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
  });
  const going = { ...AUDITED, metadata: { ...AUDITED.metadata, deletionTimestamp: "2030-01-01T00:00:00Z" } };
  for (const [name, segmentpolicies] of [["has gone", []], ["is being deleted", [going]]] as const) {
    it(`have retired what is left of a SegmentPolicy that ${name} meanwhile, and take it away`, async () => {
      const networkpolicies = [part("tier"), part("default")];
      const { pods, written } = await opened({ namespaces: [NAMESPACE], pods: [POD], segmentpolicies, networkpolicies }, true);
      assert.deepEqual(pods.map(({ ingress, egress }) => ({ ingress, egress })), [{ ingress: [], egress: [] }]);
      await waitFor("two deletes", () => written.length >= 2 || undefined, SOON);
      const path = "/apis/networking.k8s.io/v1/namespaces/one/networkpolicies";
      assert.deepEqual(written, [`DELETE ${path}/shop-default`, `DELETE ${path}/shop-tier`]);
    });
  }
});
