import { blockTest, parseAddress } from "../../../operator/api/address.ts";
import type { KernelState } from "../../../operator/enforcer/render/kernel-state.ts";

/** The first packet of a connection. */
export interface Packet {
  readonly source: string;
  readonly destination: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
}

/** What the rules do with one packet. */
export interface Walk {
  /** Whether they let it through. */
  readonly passes: boolean;
  /** The chains that it passes, in order. */
  readonly chains: readonly string[];
}

type Test = (packet: Packet) => boolean;

/** A line of a chain, read once for many packets. */
interface Line {
  readonly tests: readonly Test[];
  readonly verb: string;
  readonly target: string;
}

/** The rules of a kernel, read as iptables reads their text. */
export class PacketWalk {
  readonly #chains: ReadonlyMap<string, readonly Line[]>;

  constructor({ chains, sets }: KernelState) {
    this.#chains = new Map([...chains].map(([name, lines]) => [name, lines.map((line) => readLine(line, sets))]));
  }

  /** The walk of a new connection's packet. */
  of(packet: Packet): Walk {
    const chains: string[] = [];
    return { passes: this.#through("TW-FWD", packet, chains), chains };
  }

  #through(chain: string, packet: Packet, seen: string[]): boolean {
    seen.push(chain);
    for (const { tests, verb, target } of this.#chains.get(chain) ?? []) {
      if (!tests.every((test) => test(packet))) continue;
      if (target === "CONNMARK" || target === "NFLOG") continue;
      if (target === "RETURN") return true;
      if (target === "DROP") return false;
      const through = this.#through(target, packet, seen);
      // A jump comes back here, a goto to whoever called us.
      if (verb === "g" || !through) return through;
    }
    return true;
  }
}

function readLine(line: string, sets: KernelState["sets"]): Line {
  const [, verb = "", target = ""] = line.match(/-([jg]) (\S+)/) ?? [];
  const tests: Test[] = [];
  const option = (pattern: RegExp, test: (value: string) => Test): void => {
    const value = line.match(pattern)?.[1];
    if (value !== undefined) tests.push(test(value));
  };
  // The packets here go to one host each.
  if (line.includes("--pkt-type")) tests.push(() => false);
  option(/(?:^| )-s (\S+)/, (network) => on("source", insideOf(network)));
  option(/(?:^| )-d (\S+)/, (network) => on("destination", insideOf(network)));
  option(/--bytecode "([^"]+)"/, (program) => (packet) => runProgram(program, headerOf(packet)));
  option(/-p (\S+)/, (protocol) => (packet) => packet.protocol === protocol);
  option(/--dport (\S+)/, (range) => {
    const [from = 0, to = from] = range.split(":").map(Number);
    return ({ port }) => port >= from && port <= to;
  });
  for (const [, name = "", side] of line.matchAll(/--match-set (\S+) (\S+)/g)) {
    const members = sets.get(name)?.members ?? new Set();
    tests.push(side === "dst,dst"
      ? ({ destination, protocol, port }) => members.has(`${destination},${protocol}:${port}`)
      : on(side === "src" ? "source" : "destination", memberOf([...members])));
  }
  return { tests, verb, target };
}

/** The network header, but for what no rule looks at. */
function headerOf({ source, destination }: Packet): DataView {
  const sixth = source.includes(":");
  const [at, digits] = sixth ? [8, 32] as const : [12, 8] as const;
  const addresses = [source, destination].map((text) => parseAddress(text)?.value.toString(16).padStart(digits, "0"));
  return new DataView(Uint8Array.from([...Buffer.alloc(at), ...Buffer.from(addresses.join(""), "hex")]).buffer);
}

/** Classic BPF as the kernel runs it, as far as our rules use it. */
function runProgram(program: string, header: DataView): boolean {
  const [count, ...instructions] = program.split(",");
  if (Number(count) !== instructions.length) throw new Error(`not ${count} instructions: ${program}`);
  let [accumulator, index] = [0, 0];
  for (let next = 0; ; next += 1) {
    const [code, ifTrue = 0, ifFalse = 0, operand = 0] = (instructions[next] ?? "").split(" ").map(Number);
    if (code === 0x20) accumulator = header.getUint32(operand);
    else if (code === 0x07) index = accumulator;
    else if (code === 0x1d) next += accumulator === index ? ifTrue : ifFalse;
    else if (code === 0x06) return operand !== 0;
    else throw new Error(`no instruction ${code}: ${program}`);
  }
}

/** Whether a set holds an address: the narrowest network decides, as in hash:net. */
function memberOf(members: readonly string[]): (address: string) => boolean {
  const width = (member: string): number => Number(member.match(/\/(\d+)/)?.[1] ?? 128);
  const narrowestFirst = members.toSorted((a, b) => width(b) - width(a)).map((member) => {
    return { inside: insideOf(member.split(" ")[0] ?? ""), matches: !member.endsWith(" nomatch") };
  });
  return (address) => narrowestFirst.find(({ inside }) => inside(address))?.matches ?? false;
}

function on(end: "source" | "destination", test: (address: string) => boolean): Test {
  const known = new Map<string, boolean>();
  return (packet) => {
    const address = packet[end];
    const found = known.get(address) ?? test(address);
    known.set(address, found);
    return found;
  };
}

/** Tells whether an address is inside a network, or is it. */
export function insideOf(network: string): (address: string) => boolean {
  if (!network.includes("/")) return (address) => address === network;
  const test = blockTest({ cidr: network });
  return (address) => {
    const parsed = parseAddress(address);
    return parsed !== undefined && test?.(parsed) === true;
  };
}
