import assert from "node:assert/strict";
import fc from "fast-check";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { canonicalAddress } from "../../../operator/api/address.ts";
import { allowsFlow } from "../../../operator/enforcer/layout/flow-verdict.ts";
import type { Family } from "../../../operator/enforcer/layout/family.ts";
import { Layout } from "../../../operator/enforcer/layout/layout.ts";
import type { LayoutOptions } from "../../../operator/enforcer/layout/options.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import { asHeld } from "../../../operator/enforcer/render/as-held.ts";
import type { KernelState } from "../../../operator/enforcer/render/kernel-state.ts";
import { EMPTY_KERNEL } from "../../../operator/enforcer/render/kernel-state.ts";
import { plan } from "../../../operator/enforcer/render/plan.ts";
import type { PolicyDraft, RuleDraft, StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { PacketWalk, type Packet } from "./packet-walk.ts";
import { SlowVerdict } from "./slow-verdict.ts";
import { runs } from "../runs.ts";

const LOCAL = ["10.1.0.2", "10.1.0.3", "10.1.0.40", "10.9.0.1"] as const;
const REMOTE = ["10.1.0.99", "10.1.9.9", "10.2.0.1", "192.0.2.10", "198.51.100.7"] as const;
const PORTS = [80, 81, 443] as const;

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
/** So many more that the node's pods are told apart in one step more. */
const CROWD = Array.from({ length: 16 }, (_, index) => ({ address: `10.1.0.${8 * index + 7}`, ingress: ["p"], egress: ["q"] }));
const draft: fc.Arbitrary<StateDraft> = fc
  .record({ pods, crowd: fc.constantFrom([], CROWD), p: policy, q: policy, r: policy, x: addresses, y: addresses, e: endpoints })
  .map(({ pods: list, crowd, p, q, r, x, y, e }) => ({
    pods: Object.fromEntries([...list, ...crowd].map((pod, index) => [`pod${index}`, pod])),
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

/** What a kernel holds after one state, or after one and then another. */
function kernelAfter(states: readonly NodeState[], family: Family, options: LayoutOptions): KernelState {
  const layouts = new Layout(family, options);
  return states.reduce((kernel, state) => plan(kernel, asHeld(kernel, layouts.of(state), MARKS), MARKS, MARKS).swept, EMPTY_KERNEL);
}

const MARKS = { mask: 0xffff0000, generation: 1, state: "s" };
const NO_SETS: LayoutOptions = { ...DEFAULT_OPTIONS, lacks: new Set(["set"]) };
const NO_BPF: LayoutOptions = { ...DEFAULT_OPTIONS, lacks: new Set(["bpf"]) };
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
    ["without bpf", "ipv4", NO_BPF, 15],
    ["with unknown addresses closed", "ipv4", CLOSED, 30],
  ];
  for (const [name, family, options, numRuns] of variants) {
    it(name, () => {
      const packets = family === "ipv4" ? PACKETS : inIPv6(PACKETS);
      let [open, closed] = [0, 0];
      fc.assert(
        fc.property(fc.option(draft), draft, (before, each) => {
          const stateOf = (one: StateDraft) => nodeState(family === "ipv4" ? one : inIPv6(one));
          const state = stateOf(each);
          const kernel = kernelAfter([...(before === null ? [] : [stateOf(before)]), state], family, options);
          if (options.lacks.has("set")) assert.equal(kernel.sets.size, 0);
          const [walk, slow] = [new PacketWalk(kernel), new SlowVerdict(state)];
          for (const packet of packets) {
            const expected = slow.allows(packet) && !slow.intoTheDark(packet, options);
            if (expected) open += 1;
            else closed += 1;
            const { passes, chains } = walk.of(packet);
            const records = chains.filter((chain) => chain.startsWith("TW-AR"));
            const recorded = expected ? slow.recorded(packet) : [];
            if (passes !== expected) assert.fail(`${passes ? "passes" : "is dropped"}: ${JSON.stringify(packet)}`);
            if (String(records) !== String(recorded)) assert.deepEqual(records, recorded, JSON.stringify(packet));
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
        const slow = new SlowVerdict(state);
        for (const { source, destination, protocol: proto, port: serverPort } of PACKETS) {
          const protocol = proto === "tcp" ? "TCP" : "UDP";
          const verdict = allowsFlow(state, { source, server: destination, protocol, serverPort });
          assert.equal(verdict, slow.allows({ source, destination, protocol: proto, port: serverPort }));
        }
      }),
      { numRuns: runs(30) },
    );
  });
});
