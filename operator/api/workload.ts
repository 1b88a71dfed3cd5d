import type { Labels } from "./meta.ts";
import type { Protocol } from "./network-policy.ts";

/** What a packet filter must know of a Pod, and nothing else: a cluster has 100,000 of them. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  /** Empty until scheduled. */
  readonly nodeName: string;
  /** Of `status.podIPs`, canonical text; empty until the pod has a network, and for finished pods. */
  readonly addresses: readonly string[];
  /** Its containers run, and yet it has no address. Absent otherwise, as it is of nearly all. */
  readonly addressMissing?: true;
  readonly hostNetwork: boolean;
  /** `Succeeded` or `Failed`: its address may already be another pod's. */
  readonly finished: boolean;
  readonly deleting: boolean;
  /** Container ports that have a name, of containers and of restartable init containers. */
  readonly ports: readonly NamedPort[];
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

export interface Namespace {
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  /** `status.phase` Terminating or a deletionTimestamp: nothing can be created in it any more. */
  readonly terminating: boolean;
}

export interface Node {
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  readonly ready: boolean;
  readonly operatingSystem: string;
  /** Of `status.addresses`, types InternalIP and ExternalIP. */
  readonly addresses: readonly string[];
  readonly podCIDRs: readonly string[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}
