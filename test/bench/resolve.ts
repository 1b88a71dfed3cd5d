/**
 * Resolve at the size of a large cluster: 5,000 nodes, 100,000 pods (20 a node), 1,000 namespaces, 10,000 policies.
 *
 * Method: each namespace has 100 pods in 8 tiers, spread over all nodes, and 10 generated policies: quarantine, 8 tiers
 * (each allows the tier before it, a namespaceSelector peer that many share, a named port, and egress), default.
 * "first compute": all objects set in the order pods, namespaces, policies, then `takeChanges`. "one pod event": 5,000
 * times, a pod of one tier becomes one of the next, then `takeChanges`; the time is of both. "memory": RSS of
 * the process after a collection of garbage, objects included. Run: `node --expose-gc test/bench/resolve.ts`.
 */
import type { NetworkPolicy } from "../../operator/api/network-policy.ts";
import type { Pod } from "../../operator/api/workload.ts";
import { Resolver } from "../../operator/resolve/resolver.ts";

const NODES = 5_000;
const NAMESPACES = 1_000;
const PODS_PER_NAMESPACE = 100;
const TIERS = 8;
const EVENTS = 5_000;

const notQuarantined = { matchExpressions: [{ key: "tierwall.io/quarantine", operator: "DoesNotExist" as const }] };
const tier = (number: number) => ({ matchLabels: { tier: `tier-${number}` }, ...notQuarantined });
const monitoring = { namespaceSelector: { matchLabels: { team: "team-0" } } };

function podOf(space: number, number: number, tierNumber = number % TIERS): Pod {
  const index = space * PODS_PER_NAMESPACE + number;
  return {
    namespace: `ns-${space}`,
    name: `pod-${number}`,
    uid: `uid-${index}`,
    nodeName: `node-${(index * 7_919) % NODES}`,
    labels: { tier: `tier-${tierNumber}`, app: `app-${space}`, "pod-template-hash": `h${index % 1_000}` },
    addresses: [`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`],
    hostNetwork: false,
    finished: false,
    deleting: false,
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
  };
}

function policyOf(space: number, name: string, spec: Partial<NetworkPolicy["spec"]>): NetworkPolicy {
  const metadata = {
    name,
    namespace: `ns-${space}`,
    uid: `${space}/${name}`,
    resourceVersion: "1",
    generation: 1,
    deleting: false,
    labels: { "tierwall.io/policy": `segment-${space % 10}` },
    ownerReferences: [],
    managers: ["tierwall"],
  };
  const full = {
    podSelector: notQuarantined,
    policyTypes: ["Ingress", "Egress"] as const,
    ingress: [],
    egress: [],
    ...spec,
  };
  return { metadata, spec: full, unreadable: [] };
}

function* policiesOf(space: number): Generator<NetworkPolicy> {
  yield policyOf(space, "quarantine", {
    podSelector: { matchExpressions: [{ key: "tierwall.io/quarantine", operator: "Exists" }] },
  });
  for (let number = 0; number < TIERS; number += 1) {
    yield policyOf(space, `tier-${number}`, {
      podSelector: tier(number),
      ingress: [
        { from: [{ podSelector: tier((number + TIERS - 1) % TIERS) }], ports: [{ protocol: "TCP", port: 8080 }] },
        { from: [monitoring], ports: [{ protocol: "TCP", port: "http" }] },
      ],
      egress: [{ to: [{ podSelector: tier((number + 1) % TIERS) }], ports: [{ protocol: "TCP", port: "http" }] }],
    });
  }
  yield policyOf(space, "default", {});
}

function main(): void {
  const spaces = Array.from({ length: NAMESPACES }, (_, space) => space);
  const pods = spaces.flatMap((space) =>
    Array.from({ length: PODS_PER_NAMESPACE }, (_, number) => podOf(space, number)),
  );
  const policies = spaces.flatMap((space) => [...policiesOf(space)]);
  const resolver = new Resolver({ enforce: "Segments" });
  const started = performance.now();
  for (const pod of pods) resolver.setPod(pod);
  for (const space of spaces) {
    resolver.setNamespace({
      name: `ns-${space}`,
      uid: `ns-${space}`,
      labels: { team: `team-${space % 100}` },
      terminating: false,
    });
  }
  for (const policy of policies) resolver.setNetworkPolicy(policy);
  const told = resolver.takeChanges().size;
  const first = performance.now() - started;
  globalThis.gc?.();
  const memory = process.memoryUsage().rss / 2 ** 20;

  const times: number[] = [];
  let nodes = 0;
  for (let event = 0; event < EVENTS; event += 1) {
    const [space, number] = [(event * 13) % NAMESPACES, event % PODS_PER_NAMESPACE];
    const before = performance.now();
    resolver.setPod(podOf(space, number, (number + 1 + Math.floor(event / NAMESPACES)) % TIERS));
    nodes += resolver.takeChanges().size;
    times.push(performance.now() - before);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => `${(times[Math.floor(times.length * share)] ?? 0).toFixed(3)} ms`;
  const garbage = globalThis.gc === undefined ? " (no --expose-gc: garbage included)" : "";
  const out = [
    `${pods.length} pods, ${policies.length} NetworkPolicies, ${told} nodes`,
    `first compute        ${(first / 1000).toFixed(2)} s`,
    `one pod event        p50 ${at(0.5)}, p99 ${at(0.99)}, ${(nodes / EVENTS).toFixed(1)} nodes told on average`,
    `memory               ${memory.toFixed(0)} MB${garbage}`,
  ];
  process.stdout.write(`${out.join("\n")}\n`);
}

main();
