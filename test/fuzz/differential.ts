import { readNetworkPolicy } from "../../operator/api/network-policy-parser.ts";
import { readNamespace, readPod } from "../../operator/api/workload-parser.ts";
import { judgeOf } from "../../operator/analyze/verdict.ts";
import type { Extension } from "../../operator/enforcer/layout/options.ts";
import { ADDRESSES, FAMILIES, type HostName, HOSTS, NODES, type PodHost, PODS } from "../packets/bed/address-plan.ts";
import type { Bed } from "../packets/bed/bed.ts";
import type { RawCluster } from "../packets/bed/cluster-feed.ts";
import { leaversMs, patienceMs } from "../packets/bed/node-link.ts";
import { describe, type Flow, type Probe } from "../packets/bed/prober.ts";
import type { Change } from "./cluster-arbitrary.ts";

const PORTS: readonly Pick<Probe, "protocol" | "port">[] = [
  { protocol: "TCP", port: 80 }, { protocol: "TCP", port: 81 }, { protocol: "TCP", port: 5432 },
  { protocol: "UDP", port: 53 }, { protocol: "SCTP", port: 80 }, { protocol: "ICMP" },
];
const FLOW_PORTS: readonly Pick<Probe, "protocol" | "port">[] = [
  { protocol: "TCP", port: 80 }, { protocol: "UDP", port: 53 },
];

/** Every pair of hosts of which one is a pod, on each port and in both families. */
function everyProbe(ports: readonly Pick<Probe, "protocol" | "port">[]): readonly Probe[] {
  return HOSTS.flatMap((from) => HOSTS.filter((to) => isPod(from) || isPod(to)).flatMap((to) => (
    FAMILIES.flatMap((family) => ports.map((port): Probe => ({ from, to: ADDRESSES[to][family], ...port })))
  )));
}

function isPod(host: HostName): host is PodHost {
  return host in PODS;
}

/** What packets see and the evaluator does not say, in words; empty where they agree. */
async function disagreements(
  bed: Bed, cluster: RawCluster, lacks: readonly Extension[],
): Promise<readonly string[]> {
  await bed.apply(cluster);
  const every = everyProbe(PORTS);
  const allowed = expectations(bed, cluster, every);
  // A rule for an SCTP port then allows nothing: only what is denied can be foretold.
  const unsure = (index: number): boolean => (
    lacks.includes("sctp") && every[index]?.protocol === "SCTP" && allowed[index] === true
  );
  const probes = every.filter((_, index) => !unsure(index));
  const expected = allowed.filter((_, index) => !unsure(index));
  const passes = await bed.prober.passes(probes, expected);
  return contradictions(probes, expected, passes);
}

/**
 * What packets see and the evaluator does not say, in words: in one cluster, then in the other, and of connections that
 * are open in the first and held over the change.
 * @param lacks what the enforcers of the bed do without
 */
export async function disagreementsOfChange(
  bed: Bed, { before, after }: Change, lacks: readonly Extension[],
): Promise<readonly string[]> {
  const first = await disagreements(bed, before, lacks);
  if (first.length > 0) return first.map((words) => `before: ${words}`);
  // Without marks a change looks up each denied connection by itself: hundreds of mere probes would take seconds.
  if (lacks.includes("connmark")) await bed.network.forgetConnections();
  // Only between pods that stay: connection tracking is told to forget the others' addresses, some time later.
  const stays = (host: HostName, family: "ipv4" | "ipv6"): boolean => {
    const address = ADDRESSES[host][family];
    return !isPod(host) || (podAt(before, address) !== undefined && podAt(before, address) === podAt(after, address));
  };
  const candidates = everyProbe(FLOW_PORTS).filter(({ from, to }) => (
    HOSTS.every((host) => (host !== from && !Object.values(ADDRESSES[host]).includes(to)) || stays(host, familyOf(to)))
  ));
  const allowed = expectations(bed, before, candidates);
  const probes = candidates.filter((_, index) => allowed[index]);
  const flows = (await bed.prober.open(probes)).map((flow, index) => {
    if (flow === undefined) throw new Error(`${describe(probes[index])} cannot be opened`);
    return flow;
  });
  try {
    const second = await disagreements(bed, after, lacks);
    if (second.length > 0) return second.map((words) => `after: ${words}`);
    const expected = expectations(bed, after, probes);
    const lives = await alive(bed, flows, expected);
    const wrong = contradictions(probes, expected, lives).map((words) => `held connection: ${words}`);
    if (wrong.length > 0) return wrong;
    // What a node sends by itself is not filtered there; without marks, what a UDP server sends is a flow of its own.
    const fromNode = (address: string): boolean => NODES.some((node) => ADDRESSES[node][familyOf(address)] === address);
    const cutsServer = ({ to, protocol }: Probe): boolean => (
      !fromNode(to) && (protocol === "TCP" || !lacks.includes("connmark"))
    );
    const cut = probes.flatMap((probe, index) => (
      expected[index] === false && cutsServer(probe) ? [{ probe, flow: flows[index] }] : []
    ));
    const heard = await bed.prober.push(cut.flatMap(({ flow }) => flow ?? []), 100);
    return cut.filter((_, index) => heard[index]).map(({ probe }) => `the server of ${describe(probe)} is not cut`);
  } finally {
    await bed.prober.close(flows);
    if (lacks.includes("connmark")) await bed.network.forgetConnections();
  }
}

async function alive(
  bed: Bed, flows: readonly Flow[], expected: readonly boolean[],
): Promise<readonly boolean[]> {
  const answers = [...await bed.prober.echo(flows, 150)];
  const doubtful = (): readonly number[] => (
    flows.keys().filter((index) => answers[index] !== expected[index]).toArray()
  );
  const patience = performance.now() + patienceMs;
  for (let asked = doubtful(); asked.length > 0 && performance.now() < patience; asked = doubtful()) {
    await new Promise((resolve) => setTimeout(resolve, leaversMs));
    const again = await bed.prober.echo(asked.flatMap((index) => flows[index] ?? []), 800);
    for (const [position, index] of asked.entries()) answers[index] = again[position] === true;
  }
  return answers;
}

function expectations(bed: Bed, raw: RawCluster, probes: readonly Probe[]): readonly boolean[] {
  const judge = judgeOf({
    namespaces: raw.namespaces.map(readNamespace),
    pods: raw.pods.map(readPod),
    networkPolicies: raw.networkPolicies.map(readNetworkPolicy),
    nodes: new Map(NODES.map((node) => [node, bed.network.addresses(node)])),
    enforce: raw.enforce,
    nodeTraffic: raw.nodeTraffic,
  });
  return probes.map(({ from, to, protocol, port }) => {
    const ends = { source: ADDRESSES[from][familyOf(to)], destination: to };
    const packet = { ...ends, protocol, ...(port !== undefined && { port }) };
    return judge(packet).allowed;
  });
}

/** Uid of the pod that policies mean by an address. */
function podAt({ pods }: RawCluster, address: string): string | undefined {
  const found = pods.map(readPod).find(({ addresses, hostNetwork }) => !hostNetwork && addresses.includes(address));
  return found?.uid;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}

function contradictions(
  probes: readonly Probe[], expected: readonly boolean[], observed: readonly boolean[],
): readonly string[] {
  return probes.flatMap((probe, index) => {
    if (expected[index] === observed[index]) return [];
    return `${describe(probe)} ${observed[index] === true ? "passes" : "is dropped"}, against the evaluator`;
  });
}
