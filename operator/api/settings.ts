import { DEFAULT_ENFORCER_SETTINGS, type EnforcerSettings } from "./enforcer-settings.ts";
import { NAMESPACE_NAME_LABEL } from "./meta.ts";
import type { NetworkPolicyPeer } from "./network-policy.ts";
import { readPeer } from "./network-policy-parser.ts";
import type { Reader } from "./reader.ts";

/**
 * The operator's settings file. Every key has a default; an unknown one is refused, since a typo would change
 * nothing.
 */
export interface Settings {
  /** Who drops packets: our enforcers, the cluster's CNI, or whichever `Auto` finds at install. */
  readonly enforcer: "Auto" | "Managed" | "Disabled";
  /** `Segments`: what a generated policy selects, and there every NetworkPolicy counts. `All`: every NetworkPolicy. */
  readonly enforce: "Segments" | "All";
  /** Never part of a segment; the operator's own namespace is one of them whatever is written here. */
  readonly excludedNamespaces: readonly string[];
  readonly dns: { readonly peers: readonly DnsPeer[]; readonly ports: readonly number[] };
  readonly ports: Ports;
  /** Empty = the operator's own image. */
  readonly enforcerImage: string;
  readonly enforcerResources: Resources;
  readonly timings: Timings;
}

/** A peer as in a NetworkPolicy, or the cluster addresses of a Service. */
export type DnsPeer =
  | { readonly kind: "peer"; readonly peer: NetworkPolicyPeer }
  | { readonly kind: "service"; readonly namespace: string; readonly name: string };

export interface Ports {
  readonly stream: number;
  readonly probes: number;
  readonly metrics: number;
  /** On 127.0.0.1 of each node. */
  readonly enforcerProbes: number;
}

export interface Resources {
  readonly cpu: string;
  readonly memory: string;
}

export interface Timings extends EnforcerSettings {
  readonly heartbeatMs: number;
  /** How long a newcomer among the nodes may take to confirm before the segment counts as degraded. */
  readonly confirmGraceMs: number;
  /** The same for a Node that has just joined the cluster. */
  readonly newNodeGraceMs: number;
}

export const DEFAULT_SETTINGS: Settings = {
  enforcer: "Auto",
  enforce: "Segments",
  excludedNamespaces: ["kube-system", "kube-public", "kube-node-lease"],
  dns: {
    peers: [
      {
        kind: "peer",
        peer: {
          podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
          namespaceSelector: { matchLabels: { [NAMESPACE_NAME_LABEL]: "kube-system" } },
        },
      },
      { kind: "service", namespace: "kube-system", name: "kube-dns" },
      // NodeLocal DNSCache listens on this link-local address of every node.
      { kind: "peer", peer: { ipBlock: { cidr: "169.254.20.10/32" } } },
    ],
    ports: [53, 5353],
  },
  ports: { stream: 8443, probes: 8081, metrics: 8080, enforcerProbes: 9474 },
  enforcerImage: "",
  enforcerResources: { cpu: "50m", memory: "128Mi" },
  timings: { ...DEFAULT_ENFORCER_SETTINGS, heartbeatMs: 15_000, confirmGraceMs: 30_000, newNodeGraceMs: 300_000 },
};

/** The settings file's content; an empty file means the defaults. @throws ReadError with the path of what is wrong */
export function readSettings(file: Reader): Settings {
  if (!file.present) return DEFAULT_SETTINGS;
  file.onlyKeys(Object.keys(DEFAULT_SETTINGS));
  const fallback = DEFAULT_SETTINGS;
  return {
    enforcer: file.at("enforcer").or((reader) => reader.oneOf(["Auto", "Managed", "Disabled"]), fallback.enforcer),
    enforce: file.at("enforce").or((reader) => reader.oneOf(["Segments", "All"]), fallback.enforce),
    excludedNamespaces: file
      .at("excludedNamespaces")
      .or((list) => list.each((item) => item.text()), fallback.excludedNamespaces),
    dns: file.at("dns").or(readDns, fallback.dns),
    ports: file.at("ports").or((reader) => readNumbers(reader, fallback.ports, 1, 65_535), fallback.ports),
    enforcerImage: file.at("enforcerImage").or((reader) => reader.text(), fallback.enforcerImage),
    enforcerResources: file.at("enforcerResources").or(readResources, fallback.enforcerResources),
    timings: file.at("timings").or((reader) => readNumbers(reader, fallback.timings, 1, 86_400_000), fallback.timings),
  };
}

function readDns(dns: Reader): Settings["dns"] {
  dns.onlyKeys(["peers", "ports"]);
  return {
    peers: dns.at("peers").or((list) => list.each(readDnsPeer), DEFAULT_SETTINGS.dns.peers),
    ports: dns.at("ports").or((list) => list.each((port) => port.integer(1, 65_535)), DEFAULT_SETTINGS.dns.ports),
  };
}

function readDnsPeer(peer: Reader): DnsPeer {
  const service = peer.at("service");
  if (!service.present) return { kind: "peer", peer: readPeer(peer) };
  peer.onlyKeys(["service"]);
  service.onlyKeys(["namespace", "name"]);
  return { kind: "service", namespace: service.at("namespace").text(), name: service.at("name").text() };
}

function readResources(resources: Reader): Resources {
  resources.onlyKeys(["cpu", "memory"]);
  return {
    cpu: resources.at("cpu").or((reader) => reader.text(), DEFAULT_SETTINGS.enforcerResources.cpu),
    memory: resources.at("memory").or((reader) => reader.text(), DEFAULT_SETTINGS.enforcerResources.memory),
  };
}

function readNumbers<T extends { readonly [K in keyof T]: number }>(
  reader: Reader,
  fallback: T,
  min: number,
  max: number,
): T {
  reader.onlyKeys(Object.keys(fallback));
  const written = reader.keys().map((key) => [key, reader.at(key).integer(min, max)] as const);
  return { ...fallback, ...Object.fromEntries(written) };
}
