import { command, output } from "./command.ts";

/** Addresses and names of one lab's network. */
export interface Wire {
  readonly id: string;
  /** Interface in the root namespace; its name holds the number of the /24, so that creating it claims the /24. */
  readonly uplink: string;
  /** Network namespace of the bridge and of the control plane. */
  readonly netns: string;
  /** The control plane's address, on the bridge. */
  readonly address: string;
  nodeAddress(index: number): string;
}

const firstHost = 10;

/** Makes the bridge's namespace with an uplink to the root namespace, in a /24 of 10.200.0.0/16 that no lab has. */
export async function createWire(id: string): Promise<Wire> {
  const netns = `tw${id}-net`;
  await output(["ip", "netns", "add", netns]);
  const number = await claimSubnet(netns);
  const subnet = `10.200.${number}`;
  const uplink = uplinkName(number);
  const inside = ["ip", "-n", netns];
  await output([...inside, "link", "add", "br0", "type", "bridge"]);
  await output([...inside, "link", "set", "up0", "master", "br0"]);
  for (const link of ["lo", "br0", "up0"]) await output([...inside, "link", "set", link, "up"]);
  await output([...inside, "address", "add", `${subnet}.1/24`, "dev", "br0"]);
  await output(["ip", "address", "add", `${subnet}.2/24`, "dev", uplink]);
  await output(["ip", "link", "set", uplink, "up"]);
  return {
    id, uplink, netns, address: `${subnet}.1`, nodeAddress: (index) => `${subnet}.${firstHost + index}`,
  };
}

/** Joins a namespace to the bridge as `eth0`. */
export async function plug(wire: Wire, netns: string, port: string, address: string): Promise<void> {
  await output([
    "ip", "-n", wire.netns, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", netns,
  ]);
  await output(["ip", "-n", wire.netns, "link", "set", port, "master", "br0", "up"]);
  const inside = ["ip", "-n", netns];
  await output([...inside, "link", "set", "lo", "up"]);
  await output([...inside, "link", "set", "eth0", "up"]);
  await output([...inside, "address", "add", `${address}/24`, "dev", "eth0"]);
  await output([...inside, "route", "add", "default", "via", wire.address]);
}

/** Tells a namespace of the wire that a node's pods are behind the node. */
export async function route(netns: string, podCIDR: string, nodeAddress: string): Promise<void> {
  await output(["ip", "-n", netns, "route", "add", podCIDR, "via", nodeAddress]);
}

async function claimSubnet(netns: string): Promise<number> {
  const start = Math.floor(Math.random() * 256);
  for (let step = 0; step < 256; step += 1) {
    const number = (start + step) % 256;
    const { code } = await command([
      "ip", "link", "add", uplinkName(number), "type", "veth", "peer", "name", "up0", "netns", netns,
    ]);
    if (code === 0) return number;
  }
  throw new Error("every /24 of 10.200.0.0/16 is taken by another lab (ip link show)");
}

function uplinkName(number: number): string {
  return `twlab${number}`;
}
