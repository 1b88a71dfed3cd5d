import { parseAddress, parseNetwork, type Network } from "./address.ts";
import { isLabelKey, isLabelValue } from "./label-syntax.ts";
import type { LabelSelector } from "./label-selector.ts";
import { readSelector } from "./meta-parser.ts";
import type { IPBlock } from "./network-policy.ts";
import { readIPBlock, readPort } from "./network-policy-parser.ts";
import { ReadError, type Reader } from "./reader.ts";
import type { Tier, TierPeer, TierPort, TierRule } from "./segment-policy.ts";

const PEER_KINDS = ["tier", "podSelector", "namespaceSelector", "ipBlock", "anywhere", "kubeAPIServer", "nodes"];
const LABEL_VALUE = "a label value: at most 63 of letters, digits, '-', '_' and '.'";
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

/** @throws ReadError, also for a key or value that no label can have */
export function readStrictSelector(reader: Reader): LabelSelector {
  const selector = readSelector(reader);
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    const label = reader.at("matchLabels").at(key);
    if (!isLabelKey(key)) throw new ReadError(label.path, "is no label key: write [prefix/]name");
    if (!isLabelValue(value)) throw label.wrong(LABEL_VALUE);
  }
  for (const requirement of reader.at("matchExpressions").or((list) => list.list(), [])) {
    const key = requirement.at("key");
    if (!isLabelKey(key.text())) throw key.wrong("a label key: write [prefix/]name");
    for (const value of requirement.at("values").or((list) => list.list(), [])) {
      if (!isLabelValue(value.text())) throw value.wrong(LABEL_VALUE);
    }
  }
  return selector;
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

/** In the one form that the API server's schema takes: a mistyped digit then shows as host bits. */
function readStrictBlock(reader: Reader): IPBlock {
  const block = readIPBlock(reader);
  const whole = readNetwork(reader.at("cidr"));
  for (const except of reader.at("except").or((list) => list.list(), [])) {
    const part = readNetwork(except);
    const inside = part.bits === whole.bits && part.length > whole.length && contains(whole, part);
    if (!inside) throw except.wrong(`a network inside ${block.cidr} and smaller`);
  }
  return block;
}

function readNetwork(cidr: Reader): Network {
  const text = cidr.text();
  const network = parseNetwork(text);
  if (network === undefined) throw cidr.wrong("a network such as 10.72.0.0/16 or fd00:72::/32");
  const address = parseAddress(text.slice(0, text.indexOf("/")));
  if (address?.value !== network.base) throw cidr.wrong("a network without host bits, such as 10.72.0.0/16");
  return network;
}

function contains(whole: Network, part: Network): boolean {
  const shift = BigInt(whole.bits - whole.length);
  return part.base >> shift === whole.base >> shift;
}

function readTierPort(port: Reader): TierPort {
  const { protocol = "TCP", port: number, endPort } = readPort(port);
  if (number === undefined) throw port.at("port").wrong("a port number or the name of a container port");
  if (typeof number === "string" && !PORT_NAME.test(number)) {
    throw port.at("port").wrong("a number from 1 to 65535 without quotes, or the name of a container port");
  }
  return { protocol, port: number, ...(endPort !== undefined && { endPort }) };
}
