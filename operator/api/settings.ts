import { parseNetwork } from "./address.ts";
import { DEFAULT_ENFORCER_SETTINGS, isConnmarkField, type EnforcerSettings } from "./enforcer-settings.ts";
import { NAMESPACE_NAME_LABEL } from "./meta.ts";
import type { NetworkPolicyPeer } from "./network-policy.ts";
import type { Reader } from "./reader.ts";
import { readStrictPeer } from "./strict-parser.ts";

/**
 * The operator's settings file. Every key has a default; an unknown one is refused, since a typo would change
 * nothing.
 */
export interface Settings {
  /** Who drops packets: our enforcers, the cluster's CNI, or whichever `Auto` finds at install. */
  readonly enforcer: "Auto" | "Managed" | "Disabled";
  /** `Segments`: what a generated policy selects, and there every NetworkPolicy counts. `All`: every NetworkPolicy. */
  readonly enforce: "Segments" | "All";
  readonly nodeTraffic: EnforcerSettings["nodeTraffic"];
  readonly establishedFlows: EnforcerSettings["establishedFlows"];
  readonly failClosed: boolean;
  /** `mask` 0 = chosen by each enforcer. */
  readonly connmark: { readonly mask: number };
  readonly backend: EnforcerSettings["backend"];
  /** What the enforcers log of packets, and how much at most. */
  readonly log: { readonly drops: EnforcerSettings["logDrops"]; readonly perSecond: number };
  /** Networks of the nodes, for `nodes` peers that would come to more blocks than a NetworkPolicy should hold. */
  readonly nodeCIDRs: readonly string[];
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
  /** Of each node, on all its addresses; 0 = off. */
  readonly enforcerMetrics: number;
}

export interface Resources {
  readonly cpu: string;
  readonly memory: string;
}

export interface Timings extends Pick<
  EnforcerSettings,
  "leaversMs" | "driftCheckMs" | "diskCopyMs" | "streamSilenceMs"
> {
  readonly heartbeatMs: number;
  /** How long a newcomer among the nodes may take to confirm before the segment counts as degraded. */
  readonly confirmGraceMs: number;
  /** The same for a Node that has just joined the cluster. */
  readonly newNodeGraceMs: number;
  /** How long the enforcers may take to clear their nodes once they are not wanted any more. */
  readonly retireMs: number;
}

export const DEFAULT_SETTINGS: Settings = {
  enforcer: "Auto",
  enforce: "Segments",
  nodeTraffic: DEFAULT_ENFORCER_SETTINGS.nodeTraffic,
  establishedFlows: DEFAULT_ENFORCER_SETTINGS.establishedFlows,
  failClosed: DEFAULT_ENFORCER_SETTINGS.failClosed,
  connmark: { mask: DEFAULT_ENFORCER_SETTINGS.connmarkMask },
  backend: DEFAULT_ENFORCER_SETTINGS.backend,
  log: { drops: DEFAULT_ENFORCER_SETTINGS.logDrops, perSecond: DEFAULT_ENFORCER_SETTINGS.logPerSecond },
  nodeCIDRs: [],
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
  ports: { stream: 8443, probes: 8081, metrics: 8080, enforcerProbes: 9474, enforcerMetrics: 9473 },
  enforcerImage: "",
  enforcerResources: { cpu: "50m", memory: "128Mi" },
  timings: {
    leaversMs: DEFAULT_ENFORCER_SETTINGS.leaversMs,
    driftCheckMs: DEFAULT_ENFORCER_SETTINGS.driftCheckMs,
    diskCopyMs: DEFAULT_ENFORCER_SETTINGS.diskCopyMs,
    streamSilenceMs: DEFAULT_ENFORCER_SETTINGS.streamSilenceMs,
    heartbeatMs: 15_000,
    confirmGraceMs: 30_000,
    newNodeGraceMs: 300_000,
    retireMs: 120_000,
  },
};

/** The settings file's content; an empty file means the defaults. @throws ReadError with the path of what is wrong */
export function readSettings(file: Reader): Settings {
  if (!file.present) return DEFAULT_SETTINGS;
  file.onlyKeys(Object.keys(DEFAULT_SETTINGS));
  const fallback = DEFAULT_SETTINGS;
  return {
    enforcer: file.at("enforcer").or((reader) => reader.oneOf(["Auto", "Managed", "Disabled"]), fallback.enforcer),
    enforce: file.at("enforce").or((reader) => reader.oneOf(["Segments", "All"]), fallback.enforce),
    nodeTraffic: file.at("nodeTraffic").or((reader) => reader.oneOf(["Allow", "Enforce"]), fallback.nodeTraffic),
    establishedFlows: file
      .at("establishedFlows")
      .or((reader) => reader.oneOf(["Cut", "Keep"]), fallback.establishedFlows),
    failClosed: file.at("failClosed").or((reader) => reader.flag(), fallback.failClosed),
    connmark: file.at("connmark").or(readConnmark, fallback.connmark),
    backend: file.at("backend").or((reader) => reader.oneOf(["Auto", "nft", "legacy"]), fallback.backend),
    log: file.at("log").or(readLog, fallback.log),
    nodeCIDRs: file.at("nodeCIDRs").or((list) => list.each(readNetwork), fallback.nodeCIDRs),
    excludedNamespaces: file
      .at("excludedNamespaces")
      .or((list) => list.each((item) => item.text()), fallback.excludedNamespaces),
    dns: file.at("dns").or(readDns, fallback.dns),
    ports: file.at("ports").or(readPorts, fallback.ports),
    enforcerImage: file.at("enforcerImage").or((reader) => reader.text(), fallback.enforcerImage),
    enforcerResources: file.at("enforcerResources").or(readResources, fallback.enforcerResources),
    timings: file.at("timings").or((reader) => readNumbers(reader, fallback.timings, 1, 86_400_000), fallback.timings),
  };
}

/** What of the settings travels to the enforcers. */
export function enforcerSettings(settings: Settings): EnforcerSettings {
  const { nodeTraffic, establishedFlows, failClosed, connmark, backend, log, timings } = settings;
  const { leaversMs, driftCheckMs, diskCopyMs, streamSilenceMs } = timings;
  return {
    nodeTraffic,
    establishedFlows,
    failClosed,
    connmarkMask: connmark.mask,
    backend,
    logDrops: log.drops,
    logPerSecond: log.perSecond,
    leaversMs,
    driftCheckMs,
    diskCopyMs,
    streamSilenceMs,
  };
}

function readConnmark(connmark: Reader): Settings["connmark"] {
  connmark.onlyKeys(["mask"]);
  return { mask: connmark.at("mask").or(readMask, DEFAULT_SETTINGS.connmark.mask) };
}

function readLog(log: Reader): Settings["log"] {
  log.onlyKeys(["drops", "perSecond"]);
  const { log: fallback } = DEFAULT_SETTINGS;
  return {
    drops: log.at("drops").or((reader) => reader.oneOf(["Audit", "All", "None"]), fallback.drops),
    // iptables rounds rates above this.
    perSecond: log.at("perSecond").or((reader) => reader.integer(1, 100), fallback.perSecond),
  };
}

/** A number, as YAML reads `0xffff0000` too. */
function readMask(mask: Reader): number {
  const value = mask.integer(0, 0xffffffff);
  if (value !== 0 && !isConnmarkField(value)) throw mask.wrong("one run of at least 8 bits, such as 0xffff0000");
  return value;
}

/** @throws ReadError */
function readNetwork(network: Reader): string {
  const text = network.text();
  if (parseNetwork(text) === undefined) throw network.wrong("a network such as 10.0.0.0/16");
  return text;
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
  if (!service.present) return { kind: "peer", peer: readStrictPeer(peer) };
  peer.onlyKeys(["service"]);
  service.onlyKeys(["namespace", "name"]);
  return { kind: "service", namespace: service.at("namespace").text(), name: service.at("name").text() };
}

function readPorts(ports: Reader): Ports {
  ports.onlyKeys(Object.keys(DEFAULT_SETTINGS.ports));
  const least = (key: string) => (key === "enforcerMetrics" ? 0 : 1);
  const written = ports.keys().map((key) => [key, ports.at(key).integer(least(key), 65_535)] as const);
  return { ...DEFAULT_SETTINGS.ports, ...Object.fromEntries(written) };
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
