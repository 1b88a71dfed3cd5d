import { isIP } from "node:net";

import { canonicalAddress } from "../api/address.ts";
import type {
  LocalPod, PeerSetId, PeerSetKind, PodAudit, PodUid, PolicyId, ResolvedPeers, ResolvedPolicy, ResolvedPort,
  ResolvedRule,
} from "../api/node-state.ts";
import type { IPBlock } from "../api/network-policy.ts";
import type { Reader } from "../api/reader.ts";

const PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;

/** @throws ReadError */
export function readPolicy(policy: Reader): ResolvedPolicy {
  policy.onlyKeys(["id", "segment", "ingress", "egress"]);
  const segment = policy.at("segment").maybe((reader) => reader.text());
  return {
    id: policy.at("id").text() as PolicyId,
    ...(segment !== undefined && { segment }),
    ingress: policy.at("ingress").each(readRule),
    egress: policy.at("egress").each(readRule),
  };
}

/** @throws ReadError */
export function readPod(pod: Reader): LocalPod {
  pod.onlyKeys(["uid", "namespace", "name", "addresses", "ports", "ingress", "egress", "audits"]);
  const audits = pod.at("audits").maybe((list) => list.each(readAudit));
  return {
    uid: pod.at("uid").text() as PodUid,
    namespace: pod.at("namespace").text(),
    name: pod.at("name").text(),
    addresses: pod.at("addresses").each(readAddress),
    ports: pod.at("ports").each((port) => {
      port.onlyKeys(["name", "protocol", "port"]);
      return {
        name: port.at("name").text(),
        protocol: port.at("protocol").oneOf(PROTOCOLS),
        port: readNumber(port.at("port")),
      };
    }),
    ingress: pod.at("ingress").each(readPolicyId),
    egress: pod.at("egress").each(readPolicyId),
    ...(audits !== undefined && { audits }),
  };
}

/**
 * A member of a set of the kind. The tools of the kernel would take a host name as well and ask a DNS server for it:
 * nothing but address literals gets past here.
 * @throws ReadError
 */
export function readMember(member: Reader, kind: PeerSetKind): string {
  if (kind === "address") return readAddress(member);
  const [, address, port] = /^([0-9a-f.:]+),(?:tcp|udp|sctp):([1-9][0-9]{0,4})$/.exec(member.text()) ?? [];
  const valid = address !== undefined && canonicalAddress(address) === address && Number(port) <= 65_535;
  if (!valid) throw member.wrong("<address>,<tcp|udp|sctp>:<port>, the address in its shortest spelling");
  return member.text();
}

function readAudit(audit: Reader): PodAudit {
  audit.onlyKeys(["policy", "tier", "ingress", "egress"]);
  return {
    policy: audit.at("policy").text(),
    tier: audit.at("tier").text(),
    ingress: audit.at("ingress").each(readPolicyId),
    egress: audit.at("egress").each(readPolicyId),
  };
}

function readPolicyId(id: Reader): PolicyId {
  return id.text() as PolicyId;
}

function readRule(rule: Reader): ResolvedRule {
  rule.onlyKeys(["peers", "ports", "endpoints"]);
  return {
    peers: readPeers(rule.at("peers")),
    ports: rule.at("ports").value === "any" ? "any" : rule.at("ports").each(readPort),
    endpoints: rule.at("endpoints").each((id) => id.text() as PeerSetId),
  };
}

function readPeers(peers: Reader): ResolvedPeers {
  if (peers.value === "any") return "any";
  peers.onlyKeys(["sets", "blocks"]);
  return { sets: peers.at("sets").each((id) => id.text() as PeerSetId), blocks: peers.at("blocks").each(readBlock) };
}

function readBlock(block: Reader): IPBlock {
  block.onlyKeys(["cidr", "except"]);
  const except = block.at("except").maybe((list) => list.each(readNetwork));
  return { cidr: readNetwork(block.at("cidr")), ...(except !== undefined && { except }) };
}

function readPort(port: Reader): ResolvedPort {
  const protocol = port.at("protocol").oneOf(PROTOCOLS);
  if (port.at("name").present) {
    port.onlyKeys(["protocol", "name"]);
    return { protocol, name: port.at("name").text() };
  }
  port.onlyKeys(["protocol", "port", "endPort"]);
  if (port.at("port").present) {
    const number = readNumber(port.at("port"));
    const endPort = port.at("endPort").maybe((reader) => reader.integer(number, 65_535));
    return { protocol, port: number, ...(endPort !== undefined && { endPort }) };
  }
  port.onlyKeys(["protocol"]);
  return { protocol };
}

function readNumber(port: Reader): number {
  return port.integer(1, 65_535);
}

/**
 * As the kernel's tools print it: members are compared as text, and one that the kernel spells otherwise would be added
 * and deleted in turns for ever. The operator sends no other spelling.
 */
function readAddress(address: Reader): string {
  const text = address.text();
  if (canonicalAddress(text) !== text) throw address.wrong("an IP address in its shortest spelling");
  return text;
}

function readNetwork(network: Reader): string {
  const text = network.text();
  const [, address = "", length = ""] = /^([0-9a-fA-F.:]+)\/([0-9]{1,3})$/.exec(text) ?? [];
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (length === "" || Number(length) > bits) throw network.wrong("a network such as 10.0.0.0/8");
  return text;
}
