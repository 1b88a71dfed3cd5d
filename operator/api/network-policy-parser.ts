import type { LabelSelector } from "./label-selector.ts";
import { readMeta, readSelector } from "./meta-parser.ts";
import type {
  Direction,
  EgressRule,
  IngressRule,
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
} from "./network-policy.ts";
import { ReadError, Reader } from "./reader.ts";

/**
 * A NetworkPolicy as the API server sent it, with lists made explicit and defaults filled in. A part that is not
 * understood (a field of a later Kubernetes, say) is left out with its whole peer, port or rule, so that it matches
 * nothing, and is named in `unreadable`. A pod selector that is not understood selects nothing; beside a field of the
 * spec that is not understood no rule allows anything, since it may be there to narrow them.
 * @throws ReadError if the metadata cannot be read
 */
export function readNetworkPolicy(object: unknown): NetworkPolicy {
  const root = new Reader(object);
  const spec = root.at("spec");
  const unreadable: string[] = [];
  const known = ["podSelector", "policyTypes", "ingress", "egress"];
  const strange = spec.keys().filter((key) => !known.includes(key));
  const whole = strange.length === 0;
  unreadable.push(...strange.map((key) => spec.at(key).path));
  const each = <T>(reader: Reader, read: (item: Reader) => T): T[] =>
    reader
      .or((list) => list.list(), [])
      .flatMap((item) => {
        try {
          return [read(item)];
        } catch (error) {
          if (!(error instanceof ReadError)) throw error;
          unreadable.push(error.path);
          return [];
        }
      });
  const readable = <T>(reader: Reader, read: (item: Reader) => T, instead: NoInfer<T>): T => {
    try {
      return reader.or(read, instead);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      unreadable.push(error.path);
      return instead;
    }
  };
  const ports = (rule: Reader) => each(rule.at("ports"), readPort);
  const peers = (rule: Reader, key: "from" | "to") => each(rule.at(key), readPeer);
  // A list that was written but of which nothing is left would mean "any": such a rule is left out whole.
  const rules = <T>(
    key: "ingress" | "egress",
    side: "from" | "to",
    make: (p: NetworkPolicyPeer[], q: NetworkPolicyPort[]) => T,
  ): T[] =>
    each(spec.at(key), (rule) => {
      rule.onlyKeys([side, "ports"]);
      const rulePeers = peers(rule, side);
      const rulePorts = ports(rule);
      const emptied = (name: string, kept: readonly unknown[]) =>
        kept.length === 0 && rule.at(name).or((list) => list.list().length, 0) > 0;
      if (emptied(side, rulePeers) || emptied("ports", rulePorts))
        throw new ReadError(rule.path, "nothing readable is left");
      return make(rulePeers, rulePorts);
    });
  const ingress = rules("ingress", "from", (from, list): IngressRule => ({
    ...(from.length > 0 && { from }),
    ...(list.length > 0 && { ports: list }),
  }));
  const egress = rules("egress", "to", (to, list): EgressRule => ({
    ...(to.length > 0 && { to }),
    ...(list.length > 0 && { ports: list }),
  }));
  const selector = spec.at("podSelector");
  return {
    metadata: readMeta(root),
    spec: {
      podSelector: selector.present ? readable(selector, readSelector, NOTHING) : {},
      policyTypes: readPolicyTypes(spec, each),
      ingress: whole ? ingress : [],
      egress: whole ? egress : [],
    },
    unreadable,
  };
}

const NOTHING: LabelSelector = { matchExpressions: [{ key: "unreadable", operator: "In", values: [] }] };

/** Absent: Ingress, and Egress if there are egress rules, as Kubernetes defaults it. */
function readPolicyTypes(spec: Reader, each: <T>(list: Reader, read: (item: Reader) => T) => T[]): readonly Direction[] {
  const types = spec.at("policyTypes");
  const written = each(types, (type): Direction => type.oneOf(["Ingress", "Egress"]));
  if (written.length > 0 || types.or((list) => list.list().length > 0, false)) return written;
  const hasEgress = spec.at("egress").or((rules) => rules.list().length > 0, false);
  return hasEgress ? ["Ingress", "Egress"] : ["Ingress"];
}

/** @throws ReadError */
export function readPeer(peer: Reader): NetworkPolicyPeer {
  peer.onlyKeys(["podSelector", "namespaceSelector", "ipBlock"]);
  const podSelector = peer.at("podSelector").maybe(readSelector);
  const namespaceSelector = peer.at("namespaceSelector").maybe(readSelector);
  const ipBlock = peer.at("ipBlock").maybe(readIPBlock);
  if (podSelector === undefined && namespaceSelector === undefined && ipBlock === undefined) {
    throw new ReadError(peer.path, "must have a podSelector, a namespaceSelector or an ipBlock");
  }
  return {
    ...(podSelector && { podSelector }),
    ...(namespaceSelector && { namespaceSelector }),
    ...(ipBlock && { ipBlock }),
  };
}

/** @throws ReadError */
export function readIPBlock(block: Reader): IPBlock {
  block.onlyKeys(["cidr", "except"]);
  const except = block.at("except").or((list) => list.each((item) => item.text()), []);
  return { cidr: block.at("cidr").text(), ...(except.length > 0 && { except }) };
}

/** @throws ReadError */
export function readPort(port: Reader): NetworkPolicyPort {
  port.onlyKeys(["protocol", "port", "endPort"]);
  const number = port.at("port");
  const endPort = port.at("endPort").maybe((reader) => reader.integer(1, 65535));
  const value = number.maybe((reader) => (typeof reader.value === "string" ? reader.text() : reader.integer(1, 65535)));
  if (endPort !== undefined && (typeof value !== "number" || endPort < value)) {
    throw new ReadError(port.at("endPort").path, "needs a numeric port that is not above it");
  }
  return {
    protocol: port.at("protocol").or((reader) => reader.oneOf(["TCP", "UDP", "SCTP"]), "TCP"),
    ...(value !== undefined && { port: value }),
    ...(endPort !== undefined && { endPort }),
  };
}
