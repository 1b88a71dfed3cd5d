import assert from "node:assert/strict";
import fc from "fast-check";
import type { LocalPod, NodeState, PolicyId, ResolvedRule } from "../../../operator/api/node-state.ts";
import { canonicalAddress } from "../../../operator/api/address.ts";
import { allowsFlow } from "../../../operator/enforcer/layout/flow-verdict.ts";
import { recordChain } from "../../../operator/enforcer/layout/audits.ts";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import type { LayoutOptions } from "../../../operator/enforcer/layout/options.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import { EMPTY_KERNEL } from "../../../operator/enforcer/render/kernel-state.ts";
import { plan } from "../../../operator/enforcer/render/plan.ts";
import type { PolicyDraft, RuleDraft, StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import type { Packet } from "./packet-walk.ts";
import { inside, passed, passes } from "./packet-walk.ts";
import { runs } from "../runs.ts";

const LOCAL = ["10.1.0.2", "10.1.0.3", "10.1.0.40", "10.9.0.1"] as const;
const REMOTE = ["10.1.0.99", "10.1.9.9", "10.2.0.1", "192.0.2.10", "198.51.100.7"] as const;
const PORTS = [80, 81, 443] as const;

/** What semantics ask, straight from the state and as slowly as need be. */
function allowed(state: NodeState, packet: Packet): boolean {
  if (packet.source === packet.destination) return true;
  const pod = (address: string): LocalPod | undefined => {
    return state.pods.values().find(({ addresses }) => addresses.includes(address));
  };
  const [client, server] = [pod(packet.source), pod(packet.destination)];
  const open = (direction: "ingress" | "egress", of: LocalPod | undefined): boolean => {
    return of === undefined || of[direction].length === 0 || anyAllows(of[direction], direction, state, packet);
  };
  return open("egress", client) && open("ingress", server);
}

/** The record chains of audits that would not allow what is allowed now. */
function recorded(state: NodeState, packet: Packet): readonly string[] {
  if (packet.source === packet.destination || !allowed(state, packet)) return [];
  const ends = { egress: packet.source, ingress: packet.destination } as const;
  return (["egress", "ingress"] as const).flatMap((direction) => {
    const pod = state.pods.values().find(({ addresses }) => addresses.includes(ends[direction]));
    const refusing = (pod?.audits ?? []).filter((audit) => {
      return audit[direction].length > 0 && !anyAllows(audit[direction], direction, state, packet);
    });
    const named = direction === "egress" ? "Egress" as const : "Ingress" as const;
    return refusing.map(({ policy, tier }) => recordChain({ policy, tier, direction: named }));
  });
}

function anyAllows(
  ids: readonly PolicyId[],
  direction: "ingress" | "egress",
  state: NodeState,
  packet: Packet,
): boolean {
  const server = state.pods.values().find(({ addresses }) => addresses.includes(packet.destination));
  const other = direction === "egress" ? packet.destination : packet.source;
  const rules = ids.flatMap((id) => state.policies.get(id)?.[direction] ?? []);
  return rules.some((rule) => allows(rule, state, packet, other, server));
}

function allows(
  { peers, ports, endpoints }: ResolvedRule,
  state: NodeState,
  { destination, protocol, port }: Packet,
  other: string,
  server: LocalPod | undefined,
): boolean {
  const members = (id: (typeof endpoints)[number]): readonly string[] => [...(state.peers.get(id)?.members ?? [])];
  if (endpoints.some((id) => members(id).includes(`${destination},${protocol}:${port}`))) return true;
  const peerFits =
    peers === "any" ||
    peers.sets.some((id) => members(id).includes(other)) ||
    peers.blocks.some(({ cidr, except = [] }) => inside(other, cidr) && !except.some((net) => inside(other, net)));
  const portFits =
    ports === "any" ||
    ports.some((each) => {
      if (each.protocol.toLowerCase() !== protocol) return false;
      if ("port" in each) return port >= each.port && port <= (each.endPort ?? each.port);
      if (!("name" in each)) return true;
      return server?.ports.some((named) => {
        return named.name === each.name && named.protocol === each.protocol && named.port === port;
      }) === true;
    });
  return peerFits && portFits;
}

const protocol = fc.constantFrom("TCP" as const, "UDP" as const);
const port = fc.constantFrom(...PORTS);
const number = fc.record({ protocol, port });
const range = fc.record({ protocol, port: fc.constant(80), endPort: fc.constantFrom(80, 81, 443) });
const block = fc.oneof(
  fc.constantFrom({ cidr: "0.0.0.0/0" }, { cidr: "10.0.0.0/8" }, { cidr: "10.1.0.0/24" }, { cidr: "192.0.2.10/32" }),
  fc.record({
    cidr: fc.constantFrom("0.0.0.0/0", "10.0.0.0/7"),
    except: fc.subarray(["0.0.0.0/1", "10.1.0.0/16", "10.1.0.0/24", "10.1.0.2/32", "10.128.0.0/9"]),
  }),
);
const somePeers = fc.array(fc.oneof(fc.constantFrom("x", "y"), block), { maxLength: 3 });
const peers = fc.oneof(fc.constant("any" as const), somePeers);

function rule(direction: "ingress" | "egress"): fc.Arbitrary<RuleDraft> {
  const named = fc.record({ protocol, name: fc.constantFrom("web", "sql") });
  const whole = fc.record({ protocol });
  const either = direction === "ingress" ? fc.oneof(number, range, whole, named) : fc.oneof(number, range, whole);
  const ports = fc.array(either, { maxLength: 3 });
  const endpoints = direction === "egress" ? fc.subarray(["e"]) : fc.constant([]);
  return fc.oneof(fc.record({ peers, endpoints }), fc.record({ peers, ports, endpoints }));
}

const policy: fc.Arbitrary<PolicyDraft> = fc.record({
  ingress: fc.array(rule("ingress"), { maxLength: 3 }),
  egress: fc.array(rule("egress"), { maxLength: 3 }),
});
const selected = fc.subarray(["p", "q", "r"]);
const tried = (policy: string) => {
  return fc.record({ policy: fc.constant(policy), tier: fc.constantFrom("", "t"), ingress: selected, egress: selected });
};
/** Each policy audits a pod once. */
const audits = fc.tuple(tried("a"), tried("b")).chain((both) => fc.subarray(both));
const namedPort = fc.record({ name: fc.constantFrom("web", "sql"), protocol, port });
const pods = fc.tuple(...LOCAL.map((address) => {
  const ports = fc.array(namedPort, { maxLength: 2 });
  return fc.record({ address: fc.constant(address), ingress: selected, egress: selected, ports, audits });
}));
const addresses = fc.subarray([...LOCAL, ...REMOTE]);
const endpoints = fc.uniqueArray(
  fc.tuple(fc.constantFrom(...LOCAL, ...REMOTE), fc.constantFrom("tcp", "udp"), port),
  { maxLength: 4, selector: String },
);
const draft: fc.Arbitrary<StateDraft> = fc
  .record({ pods, p: policy, q: policy, r: policy, x: addresses, y: addresses, e: endpoints })
  .map(({ pods: list, p, q, r, x, y, e }) => ({
    pods: Object.fromEntries(list.map((pod, index) => [`pod${index}`, pod])),
    policies: { p, q, r },
    // A set of endpoints is never empty here: the draft tells its kind by its members.
    peers: { x, y, e: [...e.map(([address, proto, num]) => `${address},${proto}:${num}`), "203.0.113.1,tcp:1"] },
  }));

const PACKETS: readonly Packet[] = [...LOCAL, ...REMOTE].flatMap((source) => {
  return [...LOCAL, ...REMOTE].flatMap((destination) => {
    return PORTS.flatMap((each) => (["tcp", "udp"] as const).map((proto) => ({
      source,
      destination,
      protocol: proto,
      port: each,
    })));
  });
});

/** The same with each IPv4 address as the last 32 bits of an IPv6 address. */
function inIPv6<T>(value: T): T {
  const text = JSON.stringify(value).replaceAll(/(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?/g, (_, address: string, width?: string) => {
    if (width === "0") return "::/0";
    const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
    const six = canonicalAddress(`fd00::${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`) ?? "";
    return width === undefined ? six : `${six}/${96 + Number(width)}`;
  });
  return JSON.parse(text) as T;
}

const MARKS = { mask: 0xffff0000, generation: 1, state: "s" };
const NO_SETS: LayoutOptions = { ...DEFAULT_OPTIONS, lacks: new Set(["set"]) };
const CLOSED: LayoutOptions = { ...DEFAULT_OPTIONS, closedNets: ["10.1.0.0/24"] };

describe("the rules' verdict on any packet is what the policies say", function () {
  this.timeout(60_000);

  const variants: readonly (readonly [string, "ipv4" | "ipv6", LayoutOptions, number])[] = [
    ["for any state", "ipv4", DEFAULT_OPTIONS, 60],
    ["in IPv6", "ipv6", DEFAULT_OPTIONS, 30],
    ["by connection tracking alone", "ipv4", { ...DEFAULT_OPTIONS, establishedFlows: "Keep" }, 40],
    ["on a bridge", "ipv6", { ...DEFAULT_OPTIONS, bridged: true }, 40],
    ["without sets", "ipv4", NO_SETS, 15],
    ["without sets in IPv6", "ipv6", NO_SETS, 15],
    ["with unknown addresses closed", "ipv4", CLOSED, 30],
  ];
  for (const [name, family, options, numRuns] of variants) {
    it(name, () => {
      const packets = family === "ipv4" ? PACKETS : inIPv6(PACKETS);
      let [open, closed] = [0, 0];
      fc.assert(
        fc.property(draft, (each) => {
          const state = nodeState(family === "ipv4" ? each : inIPv6(each));
          const kernel = plan(EMPTY_KERNEL, layout(state, family, options), MARKS, MARKS).swept;
          if (options.lacks.has("set")) assert.equal(kernel.sets.size, 0);
          for (const packet of packets) {
            const expected = allowed(state, packet) && !intoTheDark(state, packet, options);
            if (expected) open += 1;
            else closed += 1;
            assert.equal(passes(kernel, packet), expected, JSON.stringify(packet));
            const records = passed(kernel, packet).filter((chain) => chain.startsWith("TW-AR"));
            assert.deepEqual(records, expected ? recorded(state, packet) : [], JSON.stringify(packet));
          }
        }),
        { numRuns: runs(numRuns) },
      );
      assert.ok(open > 20 && closed > 20, `${open} open, ${closed} closed: not worth the name of a test`);
    });
  }

  it("and so is that on established connections, where the kernel cannot judge them", () => {
    fc.assert(
      fc.property(draft, (each) => {
        const state = nodeState(each);
        for (const { source, destination, protocol: proto, port: serverPort } of PACKETS) {
          const flow = { source, server: destination, destination: "10.96.0.1", sourcePort: 40_000, destinationPort: 1 };
          const verdict = allowsFlow(state, { ...flow, protocol: proto === "tcp" ? "TCP" : "UDP", serverPort });
          assert.equal(verdict, allowed(state, { source, destination, protocol: proto, port: serverPort }));
        }
      }),
      { numRuns: runs(30) },
    );
  });
});

/** One side is an address of a closed network that no pod has. */
function intoTheDark(state: NodeState, { source, destination }: Packet, { closedNets }: LayoutOptions): boolean {
  const known = new Set(state.pods.values().flatMap(({ addresses: list }) => list));
  const dark = (address: string) => !known.has(address) && closedNets.some((net) => inside(address, net));
  return dark(source) || dark(destination);
}
