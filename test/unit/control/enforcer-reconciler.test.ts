import assert from "node:assert/strict";

import { canonicalJson } from "../../../operator/api/canonical-json.ts";
import { DEFAULT_SETTINGS } from "../../../operator/api/settings.ts";
import { EnforcerReconciler, readDaemonSet } from "../../../operator/control/enforcer-reconciler.ts";
import type { ApiClient } from "../../../operator/kube/client.ts";

interface LiveDaemonSet {
  readonly metadata: { readonly generation: number };
  readonly spec: { readonly template: { readonly spec: { readonly nodeSelector: object } } };
}

/** The operator's own objects, and the enforcers' DaemonSet as applied or edited last. */
class Cluster {
  #live: LiveDaemonSet | undefined;
  writes = 0;

  readonly client: ApiClient = {
    request: async ({ method, path, body }) => {
      if (method === "PATCH") {
        this.writes += 1;
        return this.#put(body as LiveDaemonSet);
      }
      if (path.includes("/services/")) return { spec: { clusterIP: "10.96.0.9" } };
      return { metadata: { uid: "d" }, spec: { template: { spec: { containers: [{ image: "tierwall" }] } } } };
    },
    stream: () => assert.fail("nothing is watched"),
  };

  get nodeSelector(): object | undefined {
    return this.#live?.spec.template.spec.nodeSelector;
  }

  /** Somebody sends the enforcers to nodes that are not there. */
  edit(): void {
    const live = structuredClone(this.#live);
    assert.ok(live);
    Object.assign(live.spec.template.spec.nodeSelector, { no: "where" });
    this.#put(live);
  }

  /** A new process of the operator. */
  start(): EnforcerReconciler {
    return new EnforcerReconciler({
      client: this.client, settings: DEFAULT_SETTINGS, namespace: "tierwall-system", advertise: undefined,
      mode: () => ({ managed: true, reason: "" }), isLeader: () => true, events: { record: () => undefined },
      current: () => (this.#live === undefined ? undefined : readDaemonSet(this.#live)),
      retirement: { reset: () => undefined, awaited: () => assert.fail("nobody retires") },
    });
  }

  #put({ metadata, spec }: LiveDaemonSet): LiveDaemonSet {
    const same = canonicalJson(spec) === canonicalJson(this.#live?.spec ?? {});
    const generation = (this.#live?.metadata.generation ?? 0) + (same ? 0 : 1);
    this.#live = { metadata: { ...metadata, uid: "u", generation } as LiveDaemonSet["metadata"], spec };
    return this.#live;
  }
}

describe("the enforcers' DaemonSet", () => {
  let cluster: Cluster;
  let wanted: object | undefined;
  beforeEach(async () => {
    cluster = new Cluster();
    await cluster.start().reconcile();
    wanted = structuredClone(cluster.nodeSelector);
  });

  it("is written once by each process, and not again while it stays as it was written", async () => {
    const restarted = cluster.start();
    for (let turn = 0; turn < 3; turn += 1) await restarted.reconcile();
    assert.equal(cluster.writes, 2);
  });

  it("is put back after an edit, by a process that has found it as it should be", async () => {
    const restarted = cluster.start();
    await restarted.reconcile();
    cluster.edit();
    await restarted.reconcile();
    assert.deepEqual(cluster.nodeSelector, wanted);
  });

  it("is put back after an edit that was made while no operator ran", async () => {
    cluster.edit();
    await cluster.start().reconcile();
    assert.deepEqual(cluster.nodeSelector, wanted);
  });
});
