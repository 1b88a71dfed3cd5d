import assert from "node:assert/strict";
import fc from "fast-check";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import { WIRE_CHAIN } from "../../../operator/enforcer/layout/wire-guard.ts";
import { EMPTY_KERNEL } from "../../../operator/enforcer/render/kernel-state.ts";
import type { Marks } from "../../../operator/enforcer/render/marks.ts";
import { plan } from "../../../operator/enforcer/render/plan.ts";
import { StateNames } from "../../../operator/enforcer/render/state-name.ts";
import type { PolicyDraft, StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

const MARKS: Marks = { mask: 0xffff0000, generation: 1, state: "s" };

/** One isolated pod, 10.1.0.5, under one policy. */
function isolated(policy: NonNullable<StateDraft["policies"]>[string], peers: StateDraft["peers"] = {}): StateDraft {
  const direction = policy.egress === undefined ? { ingress: ["p"] } : { egress: ["p"] };
  const ports = [{ name: "http", protocol: "TCP" as const, port: 8080 }];
  return { pods: { a: { address: "10.1.0.5", ports, ...direction } }, policies: { p: policy }, peers };
}

/** The lines of the state's only class, with names of sets by their kind alone, then the sets. */
function classText(draft: StateDraft): readonly string[] {
  const { fill, rules } = plan(EMPTY_KERNEL, layout(nodeState(draft), "ipv4"), MARKS, MARKS);
  const ours = rules.split("\n").filter((line) => line.startsWith("-A TW-C"));
  const lines = ours.map((line) => line.replace(/^-A \S+ /, ""));
  const sets = fill.split("\n").filter((line) => line !== "");
  return [...lines, ...sets].map((line) => line.replaceAll(/(TW-[unpb])[0-9a-f]{16}/g, "$1"));
}

const GOLDEN: readonly (readonly [string, StateDraft, readonly string[]])[] = [
  ["no rule drops all", isolated({ ingress: [] }), ["-g TW-DROP"]],
  ["a rule for anyone and any port allows all", isolated({ ingress: [{ peers: "any" }] }), ["-j RETURN"]],
  [
    "anyone on a port",
    isolated({ ingress: [{ peers: "any", ports: [{ protocol: "TCP", port: 80 }] }] }),
    ["-p tcp -m tcp --dport 80 -j RETURN", "-g TW-DROP"],
  ],
  [
    "a range, a whole protocol, SCTP",
    isolated({
      ingress: [
        { peers: "any", ports: [{ protocol: "UDP", port: 1, endPort: 9 }, { protocol: "TCP" }] },
        { peers: "any", ports: [{ protocol: "SCTP", port: 7 }] },
      ],
    }),
    [
      "-p sctp -m sctp --dport 7 -j RETURN",
      "-p tcp -j RETURN",
      "-p udp -m udp --dport 1:9 -j RETURN",
      "-g TW-DROP",
    ],
  ],
  [
    "peers of one port share one set",
    isolated(
      {
        ingress: [
          { peers: ["x"], ports: [{ protocol: "TCP", port: 80 }] },
          { peers: ["y"], ports: [{ protocol: "TCP", port: 80 }] },
        ],
      },
      { x: ["10.1.0.9", "10.2.0.1"], y: ["10.2.0.1", "fd00::1"] },
    ),
    [
      "-p tcp -m tcp --dport 80 -m set --match-set TW-u src -j RETURN",
      "-g TW-DROP",
      "create TW-u hash:ip family inet maxelem 1048576",
      "add TW-u 10.1.0.9",
      "add TW-u 10.2.0.1",
    ],
  ],
  [
    "egress looks at the destination",
    isolated({ egress: [{ peers: ["x"] }] }, { x: ["10.1.0.9"] }),
    [
      "-m set --match-set TW-u dst -j RETURN",
      "-g TW-DROP",
      "create TW-u hash:ip family inet maxelem 1048576",
      "add TW-u 10.1.0.9",
    ],
  ],
  [
    "anyone makes peers and blocks of the same port needless",
    isolated({
      ingress: [
        { peers: ["x", { cidr: "10.0.0.0/8" }], ports: [{ protocol: "TCP", port: 80 }] },
        { peers: "any", ports: [{ protocol: "TCP", port: 80 }] },
      ],
    }),
    ["-p tcp -m tcp --dport 80 -j RETURN", "-g TW-DROP"],
  ],
  [
    "a named port is asked first, then the peers",
    isolated({ ingress: [{ peers: ["x"], ports: [{ protocol: "TCP", name: "http" }] }] }, { x: [] }),
    [
      "-p tcp -m set --match-set TW-n dst,dst -m set --match-set TW-u src -j RETURN",
      "-g TW-DROP",
      "create TW-u hash:ip family inet maxelem 1048576",
      "create TW-n hash:ip,port family inet maxelem 1048576",
      "add TW-n 10.1.0.5,tcp:8080",
    ],
  ],
  [
    "a named port that no pod has matches nothing",
    isolated({ ingress: [{ peers: "any", ports: [{ protocol: "UDP", name: "http" }] }] }),
    [
      "-p udp -m set --match-set TW-n dst,dst -j RETURN",
      "-g TW-DROP",
      "create TW-n hash:ip,port family inet maxelem 1048576",
    ],
  ],
  [
    "endpoints carry their own ports",
    isolated({ egress: [{ peers: "any", ports: [], endpoints: ["e"] }] }, { e: ["10.2.0.1,tcp:80", "fd00::1,tcp:80"] }),
    [
      "-m set --match-set TW-p dst,dst -j RETURN",
      "-g TW-DROP",
      "create TW-p hash:ip,port family inet maxelem 1048576",
      "add TW-p 10.2.0.1,tcp:80",
    ],
  ],
  [
    "a block inline, canonical; one of the other family not at all",
    isolated({ ingress: [{ peers: [{ cidr: "10.72.10.0/8" }, { cidr: "fd00::/8" }] }] }),
    ["-s 10.0.0.0/8 -j RETURN", "-g TW-DROP"],
  ],
  [
    "each block keeps its exceptions to itself",
    isolated({
      ingress: [{ peers: [{ cidr: "10.0.0.0/8", except: ["10.1.0.0/16", "10.2.3.4/32"] }, { cidr: "10.0.0.0/12" }] }],
    }),
    [
      "-s 10.0.0.0/12 -j RETURN",
      "-s 10.0.0.0/8 -m set --match-set TW-b src -j RETURN",
      "-g TW-DROP",
      "create TW-b hash:net family inet maxelem 1048576",
      "add TW-b 10.0.0.0/8",
      "add TW-b 10.1.0.0/16 nomatch",
      "add TW-b 10.2.3.4 nomatch",
    ],
  ],
  ["/0 needs no address", isolated({ ingress: [{ peers: [{ cidr: "0.0.0.0/0" }] }] }), ["-j RETURN"]],
  [
    "/0 with an exception is two halves",
    isolated({
      egress: [{ peers: [{ cidr: "0.0.0.0/0", except: ["0.0.0.0/1"] }], ports: [{ protocol: "TCP", port: 1 }] }],
    }),
    [
      "-p tcp -m tcp --dport 1 -m set --match-set TW-b dst -j RETURN",
      "-g TW-DROP",
      "create TW-b hash:net family inet maxelem 1048576",
      "add TW-b 0.0.0.0/1 nomatch",
      "add TW-b 128.0.0.0/1",
    ],
  ],
];

describe("layout", () => {
  describe("the lines of a class", () => {
    for (const [name, draft, text] of GOLDEN) it(name, () => assert.deepEqual(classText(draft), text));
  });

  it("forks by direction, bucket and address, with the way back to itself", () => {
    const draft: StateDraft = {
      pods: {
        a: { address: "10.1.0.5", ingress: ["p"], egress: ["p"] },
        b: { address: "10.1.0.70", ingress: ["p"] },
        open: { address: "10.1.0.6" },
      },
      policies: { p: {} },
    };
    const { rules } = plan(EMPTY_KERNEL, layout(nodeState(draft), "ipv4"), MARKS, MARKS);
    const names = [...new Set(rules.match(/TW-(?:CI|CE|I-|E-)[0-9a-f]{16}/g))];
    const short = (name: string): string => `${name.slice(0, -16)}${names.indexOf(name)}`;
    assert.equal(names.reduce((text, name) => text.replaceAll(name, short(name)), rules), FORK_TEXT);
  });

  it("closes the wire of a bridge as soon as any pod of it is closed, known or not", () => {
    const open = nodeState({ pods: { a: { address: "10.1.0.5" } } });
    for (const family of ["ipv4", "ipv6"] as const) {
      const on = (closedNets: readonly string[]) => layout(open, family, { ...DEFAULT_OPTIONS, bridged: true, closedNets });
      assert.equal(on([]).chains.has(WIRE_CHAIN), false);
      assert.equal(on(["10.1.0.0/24"]).chains.has(WIRE_CHAIN), true);
    }
  });

  it("shares one class among pods with the same policies, also if only the name of the policy differs", () => {
    const pods = record(40, (index) => {
      return [`p${index}`, { address: `10.1.0.${index + 1}`, ingress: [index % 2 ? "p" : "q"] }];
    });
    const policy = { ingress: [{ peers: ["x"] }] };
    const { chains, sets } = layout(nodeState({ pods, policies: { p: policy, q: policy } }), "ipv4");
    assert.equal([...chains.keys()].filter((name) => name.startsWith("TW-C")).length, 1);
    assert.equal(sets.size, 1);
  });

  it("does not depend on the order of anything, and names sets and classes without regard to members", () => {
    fc.assert(fc.property(draftAndShuffle, ([draft, shuffled]) => {
      const [one, other] = [draft, shuffled].map((each) => layout(nodeState(each), "ipv4"));
      assert.ok(one && other);
      const names = new StateNames();
      assert.equal(names.nameOf(one), names.nameOf(other));
      const emptied = layout(nodeState({ ...draft, peers: {} }), "ipv4");
      assert.deepEqual([...emptied.sets.keys()].toSorted(), [...one.sets.keys()].toSorted());
      assert.deepEqual([...emptied.chains.keys()].toSorted(), [...one.chains.keys()].toSorted());
    }));
  });

  it("unites exactly the peers of one port", () => {
    fc.assert(fc.property(peerSets, (peers) => {
      const names = Object.keys(peers);
      const draft = isolated({ ingress: names.map((name) => ({ peers: [name] })) }, peers);
      const sets = [...layout(nodeState(draft), "ipv4").sets.values()];
      const found = sets.flatMap(({ members }) => [...members]).toSorted();
      assert.deepEqual(found, [...new Set(Object.values(peers).flat())].toSorted());
    }));
  });
});

const FORK_TEXT = `*filter
:TW-CE0 - [0:0]
:TW-CI1 - [0:0]
:TW-DROP - [0:0]
:TW-E - [0:0]
:TW-E-2 - [0:0]
:TW-EST - [0:0]
:TW-FWD - [0:0]
:TW-I - [0:0]
:TW-I-3 - [0:0]
:TW-I-4 - [0:0]
:TW-STATE - [0:0]
-A TW-CE0 -g TW-DROP
-A TW-CI1 -g TW-DROP
-A TW-DROP -m bpf --bytecode "6,32 0 0 12,7 0 0 0,32 0 0 16,29 0 1 0,6 0 0 65535,6 0 0 0" -j RETURN
-A TW-DROP -j CONNMARK --set-xmark 0xffff0000/0xffff0000
-A TW-DROP -j DROP
-A TW-E -s 10.1.0.0/29 -g TW-E-2
-A TW-E-2 -s 10.1.0.5/32 -g TW-CE0
-A TW-EST -m conntrack --ctstate RELATED -j RETURN
-A TW-EST -m connmark --mark 0xffff0000/0xffff0000 -m conntrack --ctdir REPLY -j DROP
-A TW-EST -m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN
-A TW-EST -g TW-FWD
-A TW-FWD -s 10.1.0.0/23 -j TW-E
-A TW-FWD -d 10.1.0.0/23 -j TW-I
-A TW-FWD ! -s 10.1.0.0/23 ! -d 10.1.0.0/23 -j RETURN
-A TW-FWD -j CONNMARK --set-xmark 0x10000/0xffff0000
-A TW-I -d 10.1.0.0/29 -g TW-I-3
-A TW-I -d 10.1.0.64/29 -g TW-I-4
-A TW-I-3 -d 10.1.0.5/32 -g TW-CI1
-A TW-I-4 -d 10.1.0.70/32 -g TW-CI1
-A TW-STATE -m comment --comment s -j RETURN
-I FORWARD 1 -m conntrack ! --ctstate RELATED,ESTABLISHED ! --ctstatus CONFIRMED -j TW-FWD
-I FORWARD 2 -m connmark ! --mark 0x10000/0xffff0000 -j TW-EST
COMMIT
`;

function record<Value>(count: number, entry: (index: number) => readonly [string, Value]): Record<string, Value> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => entry(index)));
}

const peerSets = fc.dictionary(
  fc.constantFrom("a", "b", "c", "d"),
  fc.array(fc.ipV4(), { maxLength: 6 }),
  { minKeys: 1 },
);

/** A draft, and the same with every record and list in another order. */
const draftAndShuffle = fc
  .record({
    addresses: fc.uniqueArray(fc.ipV4(), { minLength: 2, maxLength: 12 }),
    peers: peerSets,
    ports: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
  })
  .map(({ addresses, peers, ports }) => {
    const draft = (turn: <T>(list: readonly T[]) => readonly T[]): StateDraft => {
      const pods = addresses.map((address, index) => [`p${index}`, { address, ingress: ["one", "two"] }] as const);
      const names = Object.keys(peers);
      const named = ports.map((port) => ({ peers: turn(names), ports: [{ protocol: "TCP" as const, port }] }));
      const blocks = [{ cidr: "10.0.0.0/8" }, { cidr: "10.0.0.0/9", except: turn(["10.1.0.0/16", "10.2.0.0/16"]) }];
      const policies = [["one", { ingress: turn(named) }], ["two", { ingress: [{ peers: turn(blocks) }] }]] as const;
      return {
        pods: Object.fromEntries(turn(pods)),
        policies: Object.fromEntries(turn<readonly [string, PolicyDraft]>(policies)),
        peers: Object.fromEntries(turn(Object.entries(peers)).map(([name, members]) => [name, turn(members)])),
      };
    };
    return [draft((list) => list), draft((list) => list.toReversed())] as const;
  });

describe("a kernel without sets", () => {
  it("takes blocks with exceptions among IPv4-mapped addresses, which are printed as IPv4 is", () => {
    const egress = [{ peers: [{ cidr: "::/0", except: ["::ffff:0:0/96"] }] }];
    const state = nodeState({ pods: { a: { address: "fd00::5", egress: ["out"] } }, policies: { out: { egress } } });
    const { chains } = layout(state, "ipv6", { ...DEFAULT_OPTIONS, lacks: new Set(["set"]) });
    const lines = [...chains].flatMap(([name, rules]) => (name.startsWith("TW-CE") ? rules : []));
    const nets = lines.flatMap(({ matches }) => matches.flatMap((match) => (match.kind === "destination" ? [match.net] : [])));
    // All but one network of 96 bits: a half, a quarter of it, and so on.
    assert.equal(nets.length, 96);
    assert.ok(nets.includes("::/81") && !nets.some((net) => net.startsWith("::ffff:0")));
  });
});
