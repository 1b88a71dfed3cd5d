import { readPort } from "./network-policy-parser.ts";
import { ReadError, type Reader } from "./reader.ts";
import type { Tier, TierPeer, TierPort, TierRule } from "./segment-policy.ts";
import { readStrictBlock, readStrictSelector } from "./strict-parser.ts";

const PEER_KINDS = ["tier", "podSelector", "namespaceSelector", "ipBlock", "anywhere", "kubeAPIServer", "nodes"];
const TIER_NAME = /^[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?$/;
/** IANA service names, as Kubernetes takes them for a container port. */
const PORT_NAME = /^(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$/;

/** One entry of `spec.tiers`. @throws ReadError */
export function readTier(tier: Reader): Tier {
  tier.onlyKeys(["name", "podSelector", "namespaceSelector", "ingress", "egress"]);
  const name = tier.at("name").text();
  if (!TIER_NAME.test(name)) {
    throw tier.at("name").wrong("at most 30 of a-z, 0-9 and '-', with a letter or digit at both ends");
  }
  const namespaceSelector = tier.at("namespaceSelector").maybe(readStrictSelector);
  return {
    name,
    podSelector: tier.at("podSelector").or(readStrictSelector, { matchLabels: { tier: name } }),
    ...(namespaceSelector && { namespaceSelector }),
    ingress: tier.at("ingress").or((list) => list.each((rule) => readRule(rule, "from")), []),
    egress: tier.at("egress").or((list) => list.each((rule) => readRule(rule, "to")), []),
  };
}

function readRule(rule: Reader, side: "from" | "to"): TierRule {
  rule.onlyKeys([side, "ports"]);
  const peers = rule.at(side).list().map((peer) => readTierPeer(peer, side));
  // Templates produce empty lists by accident, and NetworkPolicy reads them as "any".
  if (peers.length === 0)
    throw rule.at(side).wrong("a list with at least one peer; for no restriction write [{anywhere: {}}]");
  if (peers.length > 1 && peers.some(({ kind }) => kind === "anywhere")) {
    throw new ReadError(rule.at(side).path, "anywhere must be the rule's only peer");
  }
  const ports = rule.at("ports").maybe((list) => list.each(readTierPort));
  if (ports?.length === 0) throw rule.at("ports").wrong("a list with at least one port; leave it out for every port");
  return { peers, ports: ports ?? "any" };
}

function readTierPeer(peer: Reader, side: "from" | "to"): TierPeer {
  peer.onlyKeys(PEER_KINDS);
  const podSelector = peer.at("podSelector").maybe(readStrictSelector);
  const namespaceSelector = peer.at("namespaceSelector").maybe(readStrictSelector);
  const kinds: TierPeer[] = [];
  const tier = peer.at("tier").maybe((reader) => reader.text());
  if (tier !== undefined) kinds.push({ kind: "tier", tier });
  if (podSelector !== undefined || namespaceSelector !== undefined) {
    kinds.push({ kind: "pods", ...(podSelector && { podSelector }), ...(namespaceSelector && { namespaceSelector }) });
  }
  const ipBlock = peer.at("ipBlock").maybe(readStrictBlock);
  if (ipBlock !== undefined) kinds.push({ kind: "ipBlock", ipBlock });
  const anywhere = peer.at("anywhere").maybe(readEmpty);
  if (anywhere !== undefined) kinds.push({ kind: "anywhere" });
  const apiServer = peer.at("kubeAPIServer").maybe(readEmpty);
  if (apiServer !== undefined) {
    if (side === "from") {
      throw new ReadError(
        peer.at("kubeAPIServer").path,
        "works only under egress: the API server calls from a node's address, for which there is {nodes: {}}",
      );
    }
    kinds.push({ kind: "kubeAPIServer" });
  }
  const nodes = peer.at("nodes").maybe(readStrictSelector);
  if (nodes !== undefined) kinds.push({ kind: "nodes", selector: nodes });
  const [only, second] = kinds;
  if (only === undefined || second !== undefined) {
    throw peer.wrong(
      "exactly one of tier, podSelector and/or namespaceSelector, ipBlock, anywhere, kubeAPIServer, nodes",
    );
  }
  return only;
}

function readEmpty(reader: Reader): true {
  reader.onlyKeys([]);
  return true;
}

function readTierPort(port: Reader): TierPort {
  const { protocol = "TCP", port: number, endPort } = readPort(port);
  if (number === undefined) throw port.at("port").wrong("a port number or the name of a container port");
  if (typeof number === "string" && !PORT_NAME.test(number)) {
    throw port.at("port").wrong("a number from 1 to 65535 without quotes, or the name of a container port");
  }
  return { protocol, port: number, ...(endPort !== undefined && { endPort }) };
}
