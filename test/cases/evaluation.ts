import type { Cluster } from "../../operator/analyze/cluster.ts";
import type { Packet } from "../../operator/analyze/packet.ts";
import { readNetworkPolicy } from "../../operator/api/network-policy-parser.ts";
import { readNamespace, readPod } from "../../operator/api/workload-parser.ts";
import { PODS_OF, type AddressPlan, type CasePacket, type Family, type NodeHost, type PodHost } from "./case.ts";
import type { RawCluster } from "./raw-cluster.ts";

/** The cluster as the evaluator takes it. */
export function readCluster(raw: Omit<RawCluster, "services">, { families, address }: AddressPlan): Cluster {
  return {
    namespaces: raw.namespaces.map(readNamespace),
    pods: raw.pods.map(readPod),
    networkPolicies: raw.networkPolicies.map(readNetworkPolicy),
    nodes: new Map((["left", "right"] as const).map((node) => [node, families.map((each) => address(node, each))])),
    enforce: raw.enforce,
    nodeTraffic: raw.nodeTraffic,
  };
}

/** Families of the plan in which the packet is sent. */
export function familiesOf({ family }: CasePacket, { families }: AddressPlan): readonly Family[] {
  return families.filter((each) => family === undefined || each === family);
}

/**
 * The packet as filtering sees it at its destination's node. A node that passes a NodePort's packet on to another gives
 * it its own address.
 */
export function filteredPacket(
  { from, to, protocol, port }: CasePacket,
  family: Family,
  { address }: AddressPlan,
  { services }: Pick<RawCluster, "services">,
): Packet {
  if (typeof to === "string") {
    const ends = { source: address(from, family), destination: address(to, family), protocol };
    return port === undefined ? ends : { ...ends, port };
  }
  const service = services.find(({ name }) => name === to.service);
  if (service === undefined) throw new Error(`no Service ${to.service}`);
  const passedOn = to.node !== undefined && to.node !== nodeOf(service.pod);
  return {
    source: address(passedOn ? to.node : from, family),
    destination: address(service.pod, family),
    protocol: service.protocol,
    port: service.targetPort,
  };
}

function nodeOf(pod: PodHost): NodeHost {
  return PODS_OF.left.some((each) => each === pod) ? "left" : "right";
}
