import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { blockTest, parseAddress } from "../api/address.ts";
import type { Finding } from "./finding.ts";
import { LastLook } from "./netfilter/last-look.ts";

/** What the node's network is, beside its firewall. */
export interface HostFacts {
  /** Pods hang on a Linux bridge. */
  readonly bridged: boolean;
  /** The kernel speaks IPv6; pods do it too then, if only by link-local addresses. */
  readonly ipv6: boolean;
  /** The node's own addresses. */
  readonly addresses: ReadonlySet<string>;
  readonly findings: readonly Finding[];
}

/** Looks at the network namespace and the `/proc` and `/sys` of this process. */
export interface Host {
  /** @param pods addresses of the node's pods */
  look(pods: ReadonlySet<string>): Promise<HostFacts>;
  /** Whether pods hang on a Linux bridge: quick enough to be asked at each change. */
  bridges(pods: ReadonlySet<string>): Promise<boolean>;
}

export const UNKNOWN_HOST: HostFacts = { bridged: false, ipv6: true, addresses: new Set(), findings: [] };

const BRIDGE_FILTERS = [
  { family: "ipv4", file: "bridge-nf-call-iptables", past: "iptables" },
  { family: "ipv6", file: "bridge-nf-call-ip6tables", past: "ip6tables, if only by link-local addresses" },
] as const;

export class LinuxHost implements Host {
  readonly #carriers = new LastLook<readonly string[]>();
  readonly #routed = new LastLook<readonly string[]>();

  async look(pods: ReadonlySet<string>): Promise<HostFacts> {
    const interfaces = networkInterfaces();
    const found = this.#carriers.of(`${textOf(pods)} ${JSON.stringify(interfaces)}`, () => carriers(interfaces, pods));
    const bridges = found.filter(isBridge);
    const ipv6 = existsSync("/proc/sys/net/ipv6");
    const findings = [
      ...(bridges.length > 0 ? unfilteredBridge(bridges, ipv6) : []),
      ...forgeableSources(await this.#routedTo(pods)),
      ...(await ipvs()),
    ];
    const addresses = Object.values(interfaces).flatMap((list) => list ?? []).map(({ address }) => address);
    return { bridged: bridges.length > 0, ipv6, addresses: new Set(addresses), findings };
  }

  async bridges(pods: ReadonlySet<string>): Promise<boolean> {
    return carriers(networkInterfaces(), pods).some(isBridge);
  }

  /** Interfaces that have a route to a single pod. */
  async #routedTo(pods: ReadonlySet<string>): Promise<readonly string[]> {
    const table = await readFile("/proc/net/route", "latin1").catch(() => "");
    return this.#routed.of(`${textOf(pods)} ${table}`, () => routes(table, pods));
  }
}

function textOf(pods: ReadonlySet<string>): string {
  return [...pods].join();
}

/** Interfaces in whose own networks a pod's address lies: others (docker0, say) carry none of our pods. */
function carriers(interfaces: ReturnType<typeof networkInterfaces>, pods: ReadonlySet<string>): readonly string[] {
  const addresses = [...pods].map(parseAddress).filter((address) => address !== undefined);
  const all = Object.entries(interfaces).filter(([, list = []]) => {
    const tests = list.map(({ cidr }) => (cidr === null ? undefined : blockTest({ cidr })));
    return addresses.some((address) => tests.some((test) => test?.(address) === true));
  });
  return all.map(([name]) => name);
}

function isBridge(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/bridge`);
}

/**
 * Frames from port to port of a bridge pass iptables only where the kernel is told so, per network namespace. Pods have
 * link-local addresses of their own, whatever the bridge or the cluster has of IPv6.
 */
function unfilteredBridge(bridges: readonly string[], ipv6: boolean): readonly Finding[] {
  const findings: Finding[] = [];
  for (const { family, file, past } of BRIDGE_FILTERS) {
    if (family === "ipv6" && !ipv6) continue;
    if (firstNumber(`/proc/sys/net/bridge/${file}`) === 1) continue;
    findings.push({
      reason: "BridgeNotFiltered",
      message:
        `pods on bridge ${bridges.join(", ")} reach each other past ${past}: ` +
        `load br_netfilter and set net.bridge.${file}=1`,
      holds: false,
    });
  }
  return findings;
}

/** A pod that is routed to could write any source address, were it not for reverse path filtering. */
function forgeableSources(interfaces: readonly string[]): readonly Finding[] {
  const all = firstNumber("/proc/sys/net/ipv4/conf/all/rp_filter") ?? 0;
  const open = interfaces.filter((name) => {
    // The stricter of the two counts: 1 is strict, 2 is loose, but 2 wins over 1.
    const own = firstNumber(`/proc/sys/net/ipv4/conf/${name}/rp_filter`) ?? 0;
    return Math.max(all, own) !== 1;
  });
  if (open.length === 0) return [];
  const shown = open.slice(0, 3).join(", ");
  return [
    {
      reason: "SourcesForgeable",
      message:
        `a pod may forge its source address on ${shown}${open.length > 3 ? ` and ${open.length - 3} more` : ""}: ` +
        "set net.ipv4.conf.<interface>.rp_filter=1, and not 2 for all",
      holds: true,
    },
  ];
}

function routes(table: string, pods: ReadonlySet<string>): readonly string[] {
  const names = new Set<string>();
  for (const line of table.split("\n").slice(1)) {
    const [name = "", destination = "", , , , , , mask] = line.split("\t");
    if (mask === "FFFFFFFF" && pods.has(dotted(destination))) names.add(name);
  }
  return [...names].toSorted();
}

/** `0200640A` → `10.100.0.2`: the kernel prints the number as its own memory holds it. */
function dotted(hex: string): string {
  return [6, 4, 2, 0].map((start) => Number.parseInt(hex.slice(start, start + 2), 16)).join(".");
}

const SERVICES = "/proc/net/ip_vs";

/** In IPVS mode packets to a Service go in by INPUT and out by OUTPUT: they never pass FORWARD. */
async function ipvs(): Promise<readonly Finding[]> {
  const services = existsSync(SERVICES) ? await readFile(SERVICES, "latin1").catch(() => "") : "";
  const used = /^(?:TCP|UDP|SCTP) /m.test(services) || existsSync("/sys/class/net/kube-ipvs0");
  if (!used) return [];
  return [
    {
      reason: "IpvsMode",
      message: "kube-proxy runs in IPVS mode, where packets to Services pass our rules by: use its iptables or nftables mode",
      holds: false,
    },
  ];
}

/** At once: the kernel has it in memory, and there is such a file for each pod. */
function firstNumber(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, "utf8"), 10);
  } catch {
    return undefined;
  }
}
