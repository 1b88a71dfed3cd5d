import { blockTest, parseAddress } from "../../../operator/api/address.ts";
import type { KernelState } from "../../../operator/enforcer/render/kernel-state.ts";

/** The first packet of a connection. */
export interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
}

/** Whether the rules of `kernel` let a new connection's packet through, read as iptables reads their text. */
export function passes(kernel: KernelState, packet: Packet): boolean {
  return walk("TW-NEW", kernel, packet) === "return";
}

/** The chains that such a packet passes, in order. */
export function passed(kernel: KernelState, packet: Packet): readonly string[] {
  const seen: string[] = [];
  walk("TW-NEW", kernel, packet, seen);
  return seen;
}

function walk(chain: string, kernel: KernelState, packet: Packet, seen: string[] = []): "return" | "drop" {
  seen.push(chain);
  for (const line of kernel.chains.get(chain) ?? []) {
    if (!matches(line, kernel, packet)) continue;
    const [, verb = "", target = ""] = line.match(/-([jg]) (\S+)/) ?? [];
    if (target === "CONNMARK" || target === "NFLOG") continue;
    if (target === "RETURN") return "return";
    if (target === "DROP") return "drop";
    const verdict = walk(target, kernel, packet, seen);
    // A jump comes back here, a goto to whoever called us.
    if (verb === "g" || verdict === "drop") return verdict;
  }
  return "return";
}

function matches(line: string, { sets }: KernelState, packet: Packet): boolean {
  // The packets here go to one host each.
  if (line.includes("--pkt-type")) return false;
  const value = (option: RegExp): string | undefined => line.match(option)?.[1];
  const source = value(/(?:^| )-s (\S+)/);
  const destination = value(/(?:^| )-d (\S+)/);
  const protocol = value(/-p (\S+)/);
  const [from = 0, to = from] = (value(/--dport (\S+)/) ?? "0:65535").split(":").map(Number);
  return (
    (source === undefined || inside(packet.source, source)) &&
    (destination === undefined || inside(packet.destination, destination)) &&
    (protocol === undefined || protocol === packet.protocol) &&
    packet.port >= from &&
    packet.port <= to &&
    line.matchAll(/--match-set (\S+) (\S+)/g).every(([, name = "", side]) => {
      const members = [...(sets.get(name)?.members ?? [])];
      const address = side === "src" ? packet.source : packet.destination;
      if (side === "dst,dst") return members.includes(`${address},${packet.protocol}:${packet.port}`);
      return longest(members.filter((member) => inside(address, member.split(" ")[0] ?? "")));
    })
  );
}

/** The narrowest network decides, as in hash:net. */
function longest(members: readonly string[]): boolean {
  const width = (member: string): number => Number(member.match(/\/(\d+)/)?.[1] ?? 128);
  const [narrowest] = members.toSorted((a, b) => width(b) - width(a));
  return narrowest !== undefined && !narrowest.endsWith(" nomatch");
}

/** Whether an address is inside a network, or is it. */
export function inside(address: string, network: string): boolean {
  if (!network.includes("/")) return address === network;
  const parsed = parseAddress(address);
  return parsed !== undefined && blockTest({ cidr: network })?.(parsed) === true;
}
