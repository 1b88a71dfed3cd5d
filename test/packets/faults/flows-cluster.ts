import type { ClusterDraft, PodHost, PolicyDraft } from "../../cases/case.ts";
import { ingressOf, only } from "../../cases/policies.ts";
import { rawCluster, type RawCluster } from "../../cases/raw-cluster.ts";
import { ADDRESSES, FAMILIES, type HostName, PLAN } from "../bed/address-plan.ts";
import type { Flow, Probe } from "../bed/prober.ts";
import type { Bed } from "../bed/bed.ts";
import { type Pair, Vigil, type VigilReport } from "../vigil.ts";
import type { Scene } from "./scene.ts";

export function clusterOf(draft: ClusterDraft): RawCluster {
  return rawCluster(draft, PLAN);
}

const PORTS = [{ port: 80 }, { port: 5432 }, { protocol: "UDP", port: 53 }];

/** `a` serves webs of its namespace: `b` beside it and `d` on the other node, not `c` and `e`. */
export const WEBS = ingressOf("a", [{ from: [{ podSelector: { matchLabels: { tier: "web" } } }], ports: PORTS }]);

/** The same for one pod alone. */
export function onlyFor(pod: PodHost): PolicyDraft {
  return ingressOf("a", [{ from: [{ podSelector: only(pod) }], ports: PORTS }]);
}

/** The pod object of a host with what is other, or without it. */
export function withPod(
  cluster: RawCluster, host: PodHost | "ghost", change?: (pod: RawPod) => readonly object[],
): RawCluster {
  const pods = cluster.pods.flatMap((object): readonly object[] => {
    const pod = object as RawPod;
    return pod.metadata.name === host ? (change?.(pod) ?? []) : [object];
  });
  return { ...cluster, pods };
}

export interface RawPod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: object;
  readonly status: object;
}

/** Another pod at the same address, of this tier. */
export function successor({ metadata, ...rest }: RawPod, tier: string): RawPod {
  const [name, uid] = [`${metadata.name}-next`, `${metadata.uid}-next`];
  return { ...rest, metadata: { ...metadata, name, uid, labels: { ...metadata.labels, tier } } };
}

/** Long connections from one host, of both families: TCP and UDP. @throws Error if one does not open */
export async function openFlows(bed: Bed, from: HostName, to: HostName): Promise<readonly Flow[]> {
  const flows = await bed.prober.open(FAMILIES.flatMap((family): readonly Probe[] => {
    const { [family]: address } = ADDRESSES[to];
    return [{ from, to: address, protocol: "TCP", port: 5432 }, { from, to: address, protocol: "UDP", port: 53 }];
  }));
  return flows.map((flow) => {
    if (flow === undefined) throw new Error(`no flow from ${from} to ${to}`);
    return flow;
  });
}

/** What probes of these pairs saw while something was done; they end with it, however that ends. */
export async function underProbes(
  scene: Scene, pairs: readonly Pair[], act: (vigil: Vigil) => Promise<void>,
): Promise<VigilReport> {
  const vigil = await Vigil.start(scene, pairs);
  try {
    await act(vigil);
  } catch (error) {
    await vigil.stop().catch(() => undefined);
    throw error;
  }
  return await vigil.stop();
}
