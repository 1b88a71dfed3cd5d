import { existsSync } from "node:fs";
import { join } from "node:path";
import { output } from "../../lab/command.ts";
import type { Flow } from "./cluster.ts";

const PREFIX = "twcost";
const CLIENT_LINK = "to-client";
const SERVER_LINK = "to-server";
/** Of the links' ends: the sender writes the first two into its frames. */
const HARDWARE = { node: "02:00:00:00:00:01", client: "02:00:00:00:00:02", server: "02:00:00:00:00:03" };
/** What is sent to it ends as the server's first look at it finds that it is for another host: cheap for everyone. */
const NOBODY = "02:00:00:00:00:04";

/** Before there are links. Replies come in on the client's link too; only the sender's packets are counted. */
const SETTINGS = [
  "net.ipv4.ip_forward=1",
  "net.ipv4.conf.all.rp_filter=0",
  "net.ipv4.conf.default.rp_filter=0",
  "net.ipv4.conf.all.send_redirects=0",
  "net.ipv4.conf.default.send_redirects=0",
  "net.ipv6.conf.all.disable_ipv6=1",
  "net.ipv6.conf.default.disable_ipv6=1",
];

/** A node that forwards between a client's and a server's namespace, and shares nothing with other nodes. */
export class NodeNetwork {
  readonly node: string;
  readonly client: string;
  readonly #server: string;
  readonly #lock: string;

  private constructor(name: string, folder: string) {
    this.node = `${name}-node`;
    this.client = `${name}-client`;
    this.#server = `${name}-server`;
    this.#lock = join(folder, `${name}.lock`);
  }

  /** @param folder for the node's own iptables lock. */
  static async create(label: string, { local, remote, server }: Flow, folder: string): Promise<NodeNetwork> {
    const network = new NodeNetwork(`${PREFIX}-${process.pid}-${label}`, folder);
    const names = [network.node, network.client, network.#server];
    await output(["ip", "-batch", "-"], { input: names.map((name) => `netns add ${name}\n`).join("") });
    await network.run(["sysctl", "-qw", ...SETTINGS]);
    await output(["ip", "-n", network.node, "-batch", "-"], {
      input: [
        ...network.#link(CLIENT_LINK, network.client, HARDWARE.client),
        ...network.#link(SERVER_LINK, network.#server, HARDWARE.server),
        `route add ${local}/32 dev ${CLIENT_LINK}`,
        `route add ${remote}/32 dev ${CLIENT_LINK}`,
        `route add ${server}/32 dev ${SERVER_LINK}`,
        `neighbour add ${local} dev ${CLIENT_LINK} lladdr ${HARDWARE.client} nud permanent`,
        `neighbour add ${server} dev ${SERVER_LINK} lladdr ${NOBODY} nud permanent`,
        "",
      ].join("\n"),
    });
    await output(["ip", "-n", network.client, "link", "set", "eth0", "up"]);
    await output(["ip", "-n", network.#server, "link", "set", "eth0", "up"]);
    return network;
  }

  /** Output of a command inside the node. */
  async run(command: readonly string[], input = ""): Promise<string> {
    return await output(["ip", "netns", "exec", this.node, ...command], {
      input,
      env: { XTABLES_LOCKFILE: this.#lock },
      timeoutMs: 120_000,
    });
  }

  /** Packets that the node has forwarded to the server. */
  async forwarded(): Promise<number> {
    return Number(await this.run(["cat", `/sys/class/net/${SERVER_LINK}/statistics/tx_packets`]));
  }

  async remove(): Promise<void> {
    const names = [this.client, this.#server, this.node];
    await output(["ip", "-batch", "-"], { input: names.map((name) => `netns delete ${name}\n`).join("") });
  }

  /** Commands that join the node to another namespace. */
  #link(name: string, namespace: string, hardware: string): readonly string[] {
    const peer = `peer name eth0 netns ${namespace} address ${hardware}`;
    return [`link add ${name} address ${HARDWARE.node} type veth ${peer}`, `link set ${name} up`];
  }
}

/** Removes what runs left behind that were killed. */
export async function removeOrphans(): Promise<void> {
  const names = (await output(["ip", "netns", "list"])).split("\n").map((line) => line.split(" ")[0] ?? "");
  for (const name of names) {
    const [, owner] = name.match(`^${PREFIX}-(\\d+)-`) ?? [];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) await output(["ip", "netns", "delete", name]);
  }
}
