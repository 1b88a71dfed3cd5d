import type { PodUid } from "../api/node-state.ts";
import type { Pod } from "../api/workload.ts";
import { canonicalAddress } from "../api/address.ts";
import type { PodGroup } from "./pod-group.ts";

/** A pod and where it stands. A new object whenever anything about the pod changes that matters here. */
export class LivePod {
  readonly pod: Pod;
  readonly uid: PodUid;
  /** `<namespace>/<name>` */
  readonly key: string;
  /** Those of `pod.addresses` that are addresses, in their canonical text. */
  readonly addresses: readonly string[];
  /** All that select it. Empty for pods that nothing selects by their nature. */
  groups: PodGroup[] = [];

  constructor(pod: Pod) {
    this.pod = pod;
    this.uid = pod.uid as PodUid;
    this.key = `${pod.namespace}/${pod.name}`;
    const claimed = this.counts ? pod.addresses.map(canonicalAddress) : [];
    this.addresses = [...new Set(claimed.filter((address) => address !== undefined))];
  }

  /** A host network pod has the node's address, a finished one's may be another's: neither is selected or a peer. */
  get counts(): boolean {
    return !this.pod.hostNetwork && !this.pod.finished;
  }

  /** Makes its addresses members of `group`'s peer sets, or no longer. */
  contribute(group: PodGroup, address: string, present: boolean): void {
    for (const set of group.peerSets) set.put(this, address, present);
  }
}

/** Whether two versions of a pod mean the same to a packet filter; most events of a pod are about something else. */
export function meansTheSame(a: Pod, b: Pod): boolean {
  return a.uid === b.uid && a.nodeName === b.nodeName && a.hostNetwork === b.hostNetwork && a.finished === b.finished
    && a.deleting === b.deleting && a.addressMissing === b.addressMissing && sameText(a.addresses, b.addresses)
    && sameText(a.labels, b.labels) && sameText(a.ports, b.ports);
}

function sameText(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
