import { readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { command, output } from "../../lab/command.ts";
import { ownedFolder, startOf } from "../../lab/owner.ts";
import {
  ADDRESSES, FAMILIES, gateway, HOSTS, type HostName, NODES, type NodeHost, POD_NETS, type PodHost, PODS, podsOn,
  ROUTER,
} from "./address-plan.ts";

/** How a node's pods are attached: each by a routed interface of its own, or all to one bridge. */
export type Wiring = "ptp" | "bridge";

const folderPrefix = "tierwall-bed-";

/** The namespaces of one bed and what joins them. */
export class BedNetwork {
  readonly wiring: Wiring;
  /** Temporary folder of this bed: it says whose the namespaces are. */
  readonly folder: string;
  readonly #id: string;

  private constructor(wiring: Wiring, folder: string) {
    this.wiring = wiring;
    this.folder = folder;
    this.#id = basename(folder).slice(folderPrefix.length);
  }

  /** Removes first what killed runs left. */
  static async create(wiring: Wiring): Promise<BedNetwork> {
    await sweep();
    const network = new BedNetwork(wiring, await ownedFolder(folderPrefix));
    await output(["ip", "-batch", "-"], { input: lines(HOSTS.map((host) => `netns add ${network.namespace(host)}`)) });
    await Promise.all(HOSTS.map((host) => network.run(host, ["sysctl", "-qw", ...sysctls(host, wiring)])));
    await output(["ip", "-batch", "-"], { input: lines(network.#links()) });
    await Promise.all(HOSTS.map((host) => network.#configure(host)));
    return network;
  }

  namespace(host: HostName): string {
    return `twb${this.#id}-${host}`;
  }

  path(host: HostName): string {
    return `/run/netns/${this.namespace(host)}`;
  }

  /** Words that make a command run inside a host. */
  enter(host: HostName): readonly string[] {
    return ["nsenter", `--net=${this.path(host)}`, "--"];
  }

  /** The file by whose lock the legacy tools of a host wait for each other. */
  lock(host: HostName): string {
    return join(this.folder, `${host}.lock`);
  }

  /** Every address by which a host is known: a node has another on its bridge. */
  addresses(host: HostName): readonly string[] {
    const bridged = this.wiring === "bridge" && isNode(host);
    return FAMILIES.flatMap((family) => [
      ADDRESSES[host][family], ...(bridged ? [gateway(host, "bridge", family)] : []),
    ]);
  }

  /** Empties what the firewall of a node has in the kernel, with the connections it has seen. */
  async wipe(node: NodeHost): Promise<void> {
    const empty = lines(["*filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT", "COMMIT"]);
    for (const tables of ["iptables", "ip6tables"]) {
      for (const backend of ["nft", "legacy"]) await this.run(node, [`${tables}-${backend}-restore`], empty);
    }
    await this.run(node, ["conntrack", "-F"]);
    await this.run(node, ["ipset", "destroy"]);
  }

  /** Empties connection tracking on both nodes; what is open then looks new. */
  async forgetConnections(): Promise<void> {
    await Promise.all(NODES.map((node) => this.run(node, ["conntrack", "-F"])));
  }

  /** Makes every host look for its neighbours anew, so that discovery which does not get through shows at once. */
  async forgetNeighbours(): Promise<void> {
    await Promise.all(HOSTS.map((host) => output(["ip", "-n", this.namespace(host), "neigh", "flush", "all"])));
  }

  async remove(): Promise<void> {
    await output(["ip", "-batch", "-"], { input: lines(HOSTS.map((host) => `netns del ${this.namespace(host)}`)) });
    await rm(this.folder, { recursive: true, force: true });
  }

  /** What a command prints inside a host. @throws Error if it fails */
  run(host: HostName, argv: readonly string[], input = ""): Promise<string> {
    return output([...this.enter(host), ...argv], { input, env: { XTABLES_LOCKFILE: this.lock(host) } });
  }

  #links(): readonly string[] {
    const veth = (left: string, at: HostName, right: string, there: HostName): string => {
      return `link add ${left} netns ${this.namespace(at)} type veth peer name ${right} netns ${this.namespace(there)}`;
    };
    return [
      ...NODES.map((node) => veth("eth0", node, `to-${node}`, "wan")),
      ...NODES.flatMap((node) => podsOn(node).map((pod) => veth(`to-${pod}`, node, "eth0", pod))),
    ];
  }

  async #configure(host: HostName): Promise<void> {
    const commands = host === "wan" ? worldLines() : isNode(host) ? nodeLines(host, this.wiring)
      : podLines(host, this.wiring);
    const input = lines(["link set lo up", ...commands]);
    await output(["ip", "-n", this.namespace(host), "-batch", "-"], { input });
  }
}

function sysctls(host: HostName, wiring: Wiring): readonly string[] {
  const common = [
    // Addresses are ours alone: no waiting until nobody else answers for them.
    "net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.dad_transmits=0", "net.ipv6.conf.all.accept_dad=0",
    "net.ipv4.ping_group_range=0 2147483647", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0",
    "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv4.icmp_msgs_burst=10000",
    "net.bridge.bridge-nf-call-iptables=0", "net.bridge.bridge-nf-call-ip6tables=0",
  ];
  if (host !== "wan" && !isNode(host)) return common;
  const routing = [
    ...common, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
  ];
  if (host === "wan") return routing;
  return [
    ...routing,
    ...(wiring === "ptp"
      ? ["net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.default.rp_filter=1"]
      : ["net.bridge.bridge-nf-call-iptables=1", "net.bridge.bridge-nf-call-ip6tables=1"]),
    // Thousands of short flows: their entries need not outlive them for long.
    "net.netfilter.nf_conntrack_tcp_timeout_close=1", "net.netfilter.nf_conntrack_udp_timeout=20",
    "net.netfilter.nf_conntrack_icmp_timeout=5", "net.netfilter.nf_conntrack_icmpv6_timeout=5",
  ];
}

/** The network between the nodes is a bridge in `wan`, so that it is no hop between them. */
function worldLines(): readonly string[] {
  const ports = NODES.map((node) => `to-${node}`);
  return [
    "link add br0 type bridge", ...ports.map((port) => `link set ${port} master br0 up`), "link set br0 up",
    `address add ${ROUTER.ipv4}/24 dev br0`, `address add ${ROUTER.ipv6}/64 dev br0 nodad`,
    ...FAMILIES.map((family) => `address add ${ADDRESSES.wan[family]}/${width(family)} dev lo${noDad(family)}`),
    ...NODES.flatMap((node) => FAMILIES.map((family) => {
      const { [family]: net } = POD_NETS[node];
      return `route add ${net} via ${ADDRESSES[node][family]} dev br0 src ${ADDRESSES.wan[family]}`;
    })),
    `route change 172.30.0.0/24 dev br0 src ${ADDRESSES.wan.ipv4}`,
    `route add fd00:172:30::/64 dev br0 metric 10 src ${ADDRESSES.wan.ipv6}`,
  ];
}

function nodeLines(node: NodeHost, wiring: Wiring): readonly string[] {
  const other = node === "left" ? "right" : "left";
  const { ipv4, ipv6 } = ADDRESSES[node];
  return [
    "link set eth0 up", `address add ${ipv4}/24 dev eth0`, `address add ${ipv6}/64 dev eth0 nodad`,
    ...FAMILIES.flatMap((family) => [
      `route add ${POD_NETS[other][family]} via ${ADDRESSES[other][family]}`,
      `route add default via ${ROUTER[family]}`,
    ]),
    ...(wiring === "ptp" ? routedPods(node) : bridgedPods(node)),
  ];
}

function routedPods(node: NodeHost): readonly string[] {
  return podsOn(node).flatMap((pod) => [
    `link set to-${pod} up`,
    ...FAMILIES.flatMap((family) => [
      `address add ${gateway(node, "ptp", family)}/${family === "ipv4" ? 32 : 64} dev to-${pod}${noDad(family)}`,
      `route add ${ADDRESSES[pod][family]}/${width(family)} dev to-${pod} src ${ADDRESSES[node][family]}`,
    ]),
  ]);
}

function bridgedPods(node: NodeHost): readonly string[] {
  return [
    "link add br0 type bridge",
    // A pod may reach itself through its own Service: the packet leaves by the port it came in by.
    ...podsOn(node).flatMap((pod) => [
      `link set to-${pod} master br0 up`, `link set to-${pod} type bridge_slave hairpin on`,
    ]),
    "link set br0 up",
    ...FAMILIES.map((family) => {
      const size = family === "ipv4" ? 24 : 64;
      return `address add ${gateway(node, "bridge", family)}/${size} dev br0${noDad(family)}`;
    }),
  ];
}

function podLines(pod: PodHost, wiring: Wiring): readonly string[] {
  const node = PODS[pod];
  return [
    "link set eth0 up",
    ...FAMILIES.flatMap((family) => {
      const bridged = family === "ipv4" ? 24 : 64;
      const size = wiring === "bridge" ? bridged : width(family);
      const via = gateway(node, wiring, family);
      return [
        `address add ${ADDRESSES[pod][family]}/${size} dev eth0${noDad(family)}`,
        ...(wiring === "ptp" && family === "ipv4" ? [`route add ${via} dev eth0`] : []),
        `route add default via ${via} dev eth0`,
      ];
    }),
  ];
}

function isNode(host: HostName): host is NodeHost {
  return (NODES as readonly string[]).includes(host);
}

function width(family: "ipv4" | "ipv6"): number {
  return family === "ipv4" ? 32 : 128;
}

function noDad(family: "ipv4" | "ipv6"): string {
  return family === "ipv4" ? "" : " nodad";
}

function lines(all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}

/** Removes the namespaces of beds whose owner has gone. */
async function sweep(): Promise<void> {
  const names = (await readdir("/run/netns").catch(() => [])).filter((name) => name.startsWith("twb"));
  const dead: string[] = [];
  for (const name of names) {
    const folder = join(tmpdir(), `${folderPrefix}${name.slice("twb".length, name.lastIndexOf("-"))}`);
    const [pid, start] = (await readFile(join(folder, "owner"), "utf8").catch(() => "")).split(" ");
    if (start === undefined || await startOf(Number(pid)) !== start) dead.push(name);
  }
  // Another run may be sweeping too.
  await command(["ip", "-force", "-batch", "-"], { input: lines(dead.map((name) => `netns del ${name}`)) });
}
