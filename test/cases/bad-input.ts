import type { AddressPlan, CaseRow, Family, Host } from "./case.ts";
import { anyBlock, block, blockPeers, hostBlocks } from "./ip-block.ts";
import { dropped, open, udp } from "./packets.ts";
import { egressOf, ingressOf, only, withPorts } from "./policies.ts";

const FROM_B = { podSelector: only("b") };
const FROM_D = { podSelector: only("d") };

/** Case 26: what is not understood matches nothing, and leaves what is understood in force. */
const UNREADABLE: readonly (readonly [string, unknown])[] = [
  ["a peer with an unknown field", { from: [{ ...FROM_B, serviceAccounts: {} }] }],
  ["a peer of no kind", { from: [{}] }],
  ["a peer that is null", { from: [null] }],
  ["a selector with an unknown field", { from: [{ podSelector: { ...only("b"), matchFields: [] } }] }],
  ["a selector with an unknown operator", {
    from: [{ podSelector: { matchExpressions: [{ key: "pod", operator: "Gt", values: ["a"] }] } }],
  }],
  ["a selector whose In has no values", {
    from: [{ podSelector: { matchExpressions: [{ key: "pod", operator: "In" }] } }],
  }],
  ["a rule with an unknown field", { from: [FROM_B], action: "Deny" }],
  ["a rule that is a text", "allow"],
  ["a port with an unknown field", { from: [FROM_B], ports: [{ port: 80, icmp: {} }] }],
  ["an unknown protocol", { from: [FROM_B], ports: [{ protocol: "ICMP" }] }],
  ["a protocol in lower case", { from: [FROM_B], ports: [{ protocol: "tcp", port: 80 }] }],
  ["a port out of range", { from: [FROM_B], ports: [{ port: 0 }, { port: 65_616 }] }],
  ["a port that is a digit text, and so a name", { from: [FROM_B], ports: [{ port: "80" }] }],
  ["an endPort below its port", { from: [FROM_B], ports: [{ port: 81, endPort: 80 }] }],
  ["an endPort of a name", { from: [FROM_B], ports: [{ port: "http", endPort: 90 }] }],
  ["an endPort without a port", { from: [FROM_B], ports: [{ endPort: 90 }] }],
];

export const BAD_INPUT: readonly CaseRow[] = [
  ...UNREADABLE.map(([name, rule]): CaseRow => ({
    case: 26,
    name: `${name} matches nothing, the rule beside it stays`,
    cluster: {
      pods: { a: withPorts({ http: 80 }) },
      policies: { "shop/p": ingressOf("a", [rule, { from: [FROM_D], ports: [{ port: 80 }] }]) },
    },
    packets: [...dropped(["b", "c", "e", "wan"], ["a"], 80, 81, udp(53), "ping"), ...open(["d"], ["a"], 80)],
  })),
  {
    case: 26,
    name: "an unreadable peer or port leaves those beside it",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{
          from: [{ nobody: {} }, FROM_B, FROM_D], ports: [{ port: 80 }, { protocol: "QUIC", port: 81 }],
        }]),
        "shop/q": egressOf("b", [
          { to: [{ nobody: {} }], ports: [{ port: 80 }] }, { to: [{ podSelector: only("a") }] },
        ]),
      },
    },
    packets: [
      ...open(["b", "d"], ["a"], 80), ...dropped(["b", "d"], ["a"], 81), ...dropped(["b"], ["c", "d", "wan"], 80),
    ],
  },
  {
    case: 26,
    name: "an unknown field of the spec widens nothing",
    cluster: {
      policies: {
        "shop/p": { spec: { podSelector: only("a"), policyTypes: ["Ingress"], defaultAction: "Allow", ingress: [] } },
      },
    },
    packets: [...dropped(["b", "d", "wan"], ["a"], 80), ...open(["a"], ["b", "d"], 80)],
  },
  // Names of their own: a policy of that name that another row left in force would stay so.
  {
    case: 26,
    name: "a podSelector that is not understood selects nobody, the policy beside it stays",
    cluster: {
      policies: {
        "shop/unknown-subject": {
          spec: { podSelector: { ...only("a"), matchFields: [] }, policyTypes: ["Ingress", "Egress"] },
        },
        "shop/q": ingressOf("b", [{ from: [FROM_D] }]),
      },
    },
    packets: [
      ...open(["c", "d", "wan"], ["a"], 80, udp(53), "ping"), ...open(["a"], ["d", "wan"], 80),
      ...open(["d"], ["b"], 80), ...dropped(["a", "c"], ["b"], 80),
    ],
  },
  {
    case: 26,
    name: "a podSelector with an unknown operator selects nobody",
    cluster: {
      policies: {
        "shop/unknown-operator": {
          spec: {
            podSelector: { matchExpressions: [{ key: "pod", operator: "Gt", values: ["0"] }] },
            policyTypes: ["Ingress", "Egress"],
          },
        },
        "shop/q": ingressOf("b", []),
      },
    },
    packets: [...open(["c", "d", "wan"], ["a"], 80), ...open(["a"], ["d"], 80), ...dropped(["d"], ["b"], 80)],
  },
  {
    case: 26,
    name: "an unknown policyTypes entry isolates nobody, the one beside it stays, and no default takes its place",
    cluster: {
      policies: {
        "shop/p": {
          spec: {
            podSelector: only("a"), policyTypes: ["Forward", "Ingress"], ingress: [{ from: [FROM_D] }], egress: [],
          },
        },
        "shop/q": {
          spec: { podSelector: only("b"), policyTypes: ["Forward"], ingress: [], egress: [{ to: [FROM_D] }] },
        },
      },
    },
    packets: [
      ...open(["d"], ["a"], 80), ...dropped(["b", "c", "wan"], ["a"], 80, udp(53), "ping"),
      ...open(["a"], ["d", "wan"], 80), ...open(["c", "d", "wan"], ["b"], 80), ...open(["b"], ["d", "wan"], 80),
    ],
  },
  ...["10.0.0.0/33", "::/129", "0.0.0.0", "nonsense", "", "010.0.0.0/8", "0.0.0.0/-1", "::ffff:0.0.0.0/0"].map(
    (cidr): CaseRow => ({
      case: 26,
      name: `the block ${JSON.stringify(cidr)} holds nobody, nor does one that excepts it`,
      cluster: (plan) => ({
        policies: {
          "shop/p": ingressOf("a", [{ from: [{ ipBlock: { cidr } }] }, { from: [FROM_D] }]),
          "shop/q": ingressOf("b", [{ from: blockPeers(plan, anyBlock, () => [cidr]) }, { from: [FROM_D] }]),
          "shop/r": egressOf("c", [{ to: [{ ipBlock: { cidr } }] }]),
        },
      }),
      packets: [...open(["d"], ["a", "b"], 80), ...dropped(["e", "wan"], ["a", "b"], 80)],
    }),
  ),
  {
    case: 26,
    name: "a block beside a selector in one peer is neither",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{
          from: hostBlocks(plan, "b").map((peer) => ({ ...peer, ...FROM_B })).concat(FROM_D),
        }]),
      },
    }),
    packets: [...dropped(["b", "c"], ["a"], 80), ...open(["d"], ["a"], 80)],
  },
  {
    case: 26,
    name: "an exception that is its whole block, one outside of it, one of the other family",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [
          { from: hostWithout(plan, "b", (family) => block(plan, "b", 0, family)) },
          { from: hostWithout(plan, "d", (family) => block(plan, "e", 0, family)) },
          { from: hostWithout(plan, "e", (family) => anyBlock(family === "ipv4" ? "ipv6" : "ipv4")) },
        ]),
      },
    }),
    packets: [...dropped(["b", "c"], ["a"], 80), ...open(["d", "e"], ["a"], 80)],
  },
  {
    case: 3,
    name: "three hundred ports in one rule",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{
          from: [FROM_B, FROM_D],
          ports: Array.from({ length: 300 }, (_, index) => (
            { protocol: index % 2 === 0 ? "TCP" : "UDP", port: 5432 + 3 * index }
          )),
        }]),
      },
    },
    packets: [
      ...open(["b", "d"], ["a"], 5432, 6326, udp(5435), udp(6329)),
      ...dropped(["b", "d"], ["a"], 5433, 5435, udp(5432), 80), ...dropped(["c", "e"], ["a"], 5432),
    ],
  },
  {
    case: 6,
    name: "a hundred blocks with exceptions, and /0 among them",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{
          from: [
            ...Array.from({ length: 100 }, (_, index) => ({
              ipBlock: index % 2 === 0
                ? { cidr: `198.18.${index}.0/24`, except: [`198.18.${index}.0/25`, `198.18.${index}.128/32`] }
                : { cidr: `2001:2:0:${index}::/64`, except: [`2001:2:0:${index}:8000::/65`] },
            })),
            ...hostBlocks(plan, "d"),
          ],
          ports: [{ port: 80 }],
        }, {
          from: blockPeers(plan, anyBlock, (family) => [block(plan, "b", 0, family)]), ports: [{ port: 81 }],
        }]),
      },
    }),
    packets: [
      ...open(["d"], ["a"], 80), ...dropped(["b", "e", "wan"], ["a"], 80),
      ...open(["d", "e", "wan"], ["a"], 81), ...dropped(["b"], ["a"], 81),
    ],
  },
  {
    case: 20,
    name: "pods without addresses, or with what is none, are in no family",
    cluster: {
      ghosts: {
        starting: { node: "left", labels: { tier: "web" } },
        broken: {
          node: "left", labels: { tier: "web" }, addresses: () => ["nonsense", "", "::ffff:10.0.0.1", "1.2.3"],
        },
      },
      policies: {
        "shop/p": ingressOf("a", [{ from: [{ podSelector: { matchLabels: { tier: "web" } } }] }]),
        "shop/q": { spec: { podSelector: { matchLabels: { tier: "web" } }, policyTypes: ["Egress"], egress: [{}] } },
      },
    },
    packets: [...open(["b", "d"], ["a"], 80), ...dropped(["c", "e", "wan"], ["a"], 80)],
  },
  {
    case: 2,
    name: "a namespace without an object has no labels to be selected by",
    cluster: {
      namespaces: { other: undefined },
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ namespaceSelector: {} }], ports: [{ port: 80 }] },
          { from: [{ namespaceSelector: { matchExpressions: [{ key: "team", operator: "DoesNotExist" }] } }] },
        ]),
        "other/p": ingressOf("c", [{ from: [{ podSelector: {} }] }]),
      },
    },
    packets: [
      ...open(["b", "d"], ["a"], 80), ...dropped(["c", "e"], ["a"], 80, 81),
      ...open(["e"], ["c"], 80), ...dropped(["b", "d"], ["c"], 80),
    ],
  },
];

function hostWithout(plan: AddressPlan, host: Host, except: (family: Family) => string): readonly object[] {
  return blockPeers(plan, (family) => block(plan, host, 0, family), (family) => [except(family)]);
}
