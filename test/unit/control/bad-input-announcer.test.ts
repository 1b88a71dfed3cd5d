import assert from "node:assert/strict";

import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { Namespace, Pod } from "../../../operator/api/workload.ts";
import { BadInputAnnouncer } from "../../../operator/control/bad-input-announcer.ts";
import { EventRecorder } from "../../../operator/kube/events.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { VirtualClock } from "../kube/virtual-clock.ts";

const SELECTOR = { matchExpressions: [{ key: "a", operator: "In", values: [] }] };

/** What an API server stores of an Event, as far as it is looked at here. */
interface Stored {
  readonly metadata: { readonly namespace: string };
  readonly regarding: { readonly kind: string; readonly name: string; readonly uid: string };
  readonly type: string;
  readonly reason: string;
  readonly note: string;
}

/** A cluster with `enforce: All` and no SegmentPolicy. */
class Cluster {
  readonly resolver = new Resolver({ enforce: "All" });
  readonly networkPolicies = new Map<string, NetworkPolicy>();
  readonly pods = new Map<string, Pod>();
  readonly namespaces = new Map<string, Namespace>();
  readonly lines: unknown[] = [];
  readonly stored: Stored[] = [];
  active = true;
  readonly #announcer: BadInputAnnouncer;

  constructor() {
    const client = {
      request: async ({ body }: { readonly body?: unknown }) => void this.stored.push(body as Stored),
      async *stream() { yield []; },
    };
    const source = { component: "test", instance: "test", onError: assert.ifError };
    this.#announcer = new BadInputAnnouncer({
      problems: () => this.resolver.problems(),
      networkPolicies: this.networkPolicies, pods: this.pods, namespaces: this.namespaces,
      events: new EventRecorder({ client, clock: new VirtualClock(), ...source }),
      log: { warn: (_message, facts) => void this.lines.push(facts) },
      active: () => this.active,
    });
    this.namespace(false);
  }

  namespace(terminating: boolean): void {
    const namespace = { name: "team", uid: "n", labels: {}, terminating };
    this.namespaces.set("team", namespace);
    this.resolver.setNamespace(namespace);
  }

  policy(name: string, uid: string, from: object): void {
    const policy = readNetworkPolicy({
      metadata: { namespace: "team", name, uid },
      spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ from: [from] }] },
    });
    this.networkPolicies.set(`team/${name}`, policy);
    this.resolver.setNetworkPolicy(policy);
  }

  pod(name: string, address: string): void {
    const pod: Pod = {
      namespace: "team", name, uid: `uid-of-${name}`, labels: {}, nodeName: "n", addresses: [address],
      hostNetwork: false, finished: false, deleting: false, ports: [],
    };
    this.pods.set(`team/${name}`, pod);
    this.resolver.setPod(pod);
  }

  /** @returns what the looks have told, by name of the object */
  async look(times = 1): Promise<readonly string[]> {
    const before = this.stored.length;
    for (let each = 0; each < times; each += 1) this.#announcer.look();
    await new Promise(setImmediate);
    return this.stored.slice(before).map(({ regarding: { name } }) => name);
  }
}

describe("the announcer of bad input", () => {
  it("tells of a NetworkPolicy that is not understood, on the object itself, once", async () => {
    const cluster = new Cluster();
    cluster.policy("broken", "u1", { podSelector: SELECTOR });
    cluster.policy("sound", "u2", { podSelector: {} });
    assert.deepEqual(await cluster.look(5), ["broken"]);
    const [event] = cluster.stored;
    assert.deepEqual(
      { ...event?.regarding, where: event?.metadata.namespace, type: event?.type, reason: event?.reason },
      {
        apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", namespace: "team", name: "broken", uid: "u1",
        where: "team", type: "Warning", reason: "UnreadableNetworkPolicy",
      },
    );
    assert.match(event?.note ?? "", /matches nothing: spec\.ingress\[0\]\.from\[0\]/);
    const problem = event?.note;
    assert.deepEqual(cluster.lines, [{ kind: "NetworkPolicy", namespace: "team", name: "broken", problem }]);
  });

  it("tells of both pods that have one address", async () => {
    const cluster = new Cluster();
    for (const name of ["a", "b"]) cluster.pod(name, "10.1.0.1");
    assert.deepEqual(await cluster.look(5), ["a", "b"]);
    assert.deepEqual(cluster.stored.map(({ reason }) => reason), ["UnusableAddress", "UnusableAddress"]);
  });

  it("tells nothing of what is over at the next look", async () => {
    const cluster = new Cluster();
    for (const name of ["old", "new"]) cluster.pod(name, "10.1.0.1");
    assert.deepEqual(await cluster.look(), []);
    cluster.pod("old", "10.1.0.2");
    assert.deepEqual(await cluster.look(5), []);
  });

  it("tells what was mended and is wrong again, and the same of a new object", async () => {
    const cluster = new Cluster();
    cluster.policy("broken", "u1", { podSelector: SELECTOR });
    await cluster.look(2);
    cluster.policy("broken", "u1", { podSelector: {} });
    await cluster.look(2);
    cluster.policy("broken", "u1", { podSelector: SELECTOR });
    await cluster.look(2);
    assert.equal(cluster.lines.length, 2);
    cluster.policy("broken", "u2", { podSelector: SELECTOR });
    assert.deepEqual(await cluster.look(2), ["broken"]);
  });

  it("tells hundreds a few at a time, and each of them once", async () => {
    const cluster = new Cluster();
    const names = Array.from({ length: 230 }, (_, index) => `broken-${index}`);
    for (const name of names) cluster.policy(name, `uid-of-${name}`, { podSelector: SELECTOR });
    const looks = [];
    for (let each = 0; each < 20; each += 1) looks.push(await cluster.look());
    assert.ok(looks.every((told) => told.length <= 20), looks.map(({ length }) => length).join());
    assert.deepEqual(looks.flat().toSorted(), names.toSorted());
  });

  it("is silent on a replica that does not lead, and tells what stands when it takes over", async () => {
    const cluster = new Cluster();
    cluster.active = false;
    cluster.policy("broken", "u1", { podSelector: SELECTOR });
    assert.deepEqual(await cluster.look(5), []);
    cluster.active = true;
    assert.deepEqual(await cluster.look(5), ["broken"]);
  });

  it("tells nothing in a namespace that is going, nor of what no object stands for", async () => {
    const cluster = new Cluster();
    cluster.policy("broken", "u1", { podSelector: SELECTOR });
    const [broken] = cluster.networkPolicies.values();
    if (broken !== undefined) cluster.resolver.setAudit("shop", [broken]);
    cluster.namespace(true);
    assert.deepEqual(await cluster.look(5), []);
    cluster.namespace(false);
    assert.deepEqual(await cluster.look(5), ["broken"]);
  });
});
