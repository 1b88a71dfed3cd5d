import type { CaseRow } from "./case.ts";
import { dropped, open, udp } from "./packets.ts";
import { egressOf, generated, ingressOf, only } from "./policies.ts";

/** Case 1: who is isolated, and what absent and empty lists mean. Both directions of the verdict are here too. */
export const ISOLATION: readonly CaseRow[] = [
  {
    case: 1,
    name: "ingress absent isolates and allows nothing; nothing else is touched",
    cluster: { policies: { "shop/p": { spec: { podSelector: only("a"), policyTypes: ["Ingress"] } } } },
    packets: [
      ...dropped(["b", "c", "d", "e", "wan"], ["a"], 80, udp(53), "ping"),
      ...open(["a"], ["b", "d", "wan"], 80, udp(53), "ping"),
      ...open(["b", "d", "wan"], ["c", "e"], 80),
    ],
  },
  {
    case: 1,
    name: "ingress [] is the same as absent",
    cluster: { policies: { "shop/p": ingressOf("a", []) } },
    packets: [...dropped(["b", "d", "wan"], ["a"], 80, udp(53)), ...open(["a"], ["b", "d"], 80)],
  },
  {
    case: 1,
    name: "ingress [{}] isolates and allows all",
    cluster: { policies: { "shop/p": ingressOf("a", [{}]), "shop/q": ingressOf("b", []) } },
    packets: [...open(["b", "c", "d", "e", "wan"], ["a"], 80, udp(53), "ping"), ...dropped(["a", "d"], ["b"], 80)],
  },
  {
    case: 1,
    name: "egress absent isolates and allows nothing; ingress stays open",
    cluster: { policies: { "shop/p": { spec: { podSelector: only("a"), policyTypes: ["Egress"] } } } },
    packets: [
      ...dropped(["a"], ["b", "c", "d", "e", "wan"], 80, udp(53), "ping"),
      ...open(["b", "d", "wan"], ["a"], 80, udp(53), "ping"),
    ],
  },
  {
    case: 1,
    name: "egress [{}] isolates and allows all",
    cluster: { policies: { "shop/p": egressOf("a", [{}]), "shop/q": egressOf("b", []) } },
    packets: [...open(["a"], ["b", "d", "wan"], 80, udp(53), "ping"), ...dropped(["b"], ["a", "d", "wan"], 80)],
  },
  {
    case: 1,
    name: "from and to, empty or absent, are any peer",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ from: [], ports: [{ port: 80 }] }, { ports: [{ port: 81 }] }]),
        "shop/q": egressOf("b", [{ to: [], ports: [{ port: 80 }] }, { ports: [{ port: 82 }] }]),
      },
    },
    packets: [
      ...open(["c", "d", "e", "wan"], ["a"], 80, 81),
      ...dropped(["c", "d", "e", "wan"], ["a"], 82, udp(53), "ping"),
      ...open(["b"], ["c", "d", "wan"], 80, 82),
      ...dropped(["b"], ["c", "d", "wan"], 81, udp(53), "ping"),
      ...open(["b"], ["a"], 80),
      ...dropped(["b"], ["a"], 81, 82),
    ],
  },
  {
    case: 1,
    name: "ports, empty or absent, are every port and protocol",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ from: [{ podSelector: only("b") }], ports: [] }]),
        "shop/q": ingressOf("d", [{ from: [{ podSelector: only("b") }] }]),
      },
    },
    packets: [
      ...open(["b"], ["a", "d"], 80, 9, udp(53), "ping"), ...dropped(["c", "e"], ["a", "d"], 80, udp(53), "ping"),
    ],
  },
  {
    case: 1,
    name: "an empty podSelector selects all pods of the policy's namespace, and no other's",
    cluster: { policies: { "shop/p": { spec: { podSelector: {}, policyTypes: ["Ingress"] } } } },
    packets: [
      ...dropped(["c", "e", "wan"], ["a", "b", "d"], 80, udp(53)),
      ...dropped(["a"], ["b", "d"], 80),
      ...open(["a", "b", "d", "wan"], ["c", "e"], 80, udp(53)),
    ],
  },
  {
    case: 1,
    name: "an absent podSelector reads as an empty one",
    cluster: { policies: { "shop/p": { spec: { policyTypes: ["Ingress"], ingress: [{ ports: [{ port: 81 }] }] } } } },
    packets: [...open(["c", "e"], ["a", "b", "d"], 81), ...dropped(["c", "e"], ["a", "b", "d"], 80)],
  },
  {
    case: 1,
    name: "policyTypes absent: Ingress alone without egress rules",
    cluster: { policies: { "shop/p": { spec: { podSelector: only("a"), egress: [] } } } },
    packets: [...dropped(["b", "d"], ["a"], 80), ...open(["a"], ["b", "d", "wan"], 80)],
  },
  {
    case: 1,
    name: "policyTypes absent: Ingress and Egress with egress rules",
    cluster: { policies: { "shop/p": { spec: { podSelector: only("a"), egress: [{ ports: [{ port: 80 }] }] } } } },
    packets: [
      ...dropped(["b", "d"], ["a"], 80), ...dropped(["a"], ["b", "d"], 81), ...open(["a"], ["b", "d", "wan"], 80),
    ],
  },
  {
    case: 1,
    name: "rules of a direction that policyTypes leaves out do not count",
    cluster: {
      policies: {
        "shop/p": { spec: { podSelector: only("a"), policyTypes: ["Ingress"], egress: [{ ports: [{ port: 80 }] }] } },
        "shop/q": { spec: { podSelector: only("b"), policyTypes: ["Egress"], ingress: [{ ports: [{ port: 80 }] }] } },
      },
    },
    packets: [
      ...dropped(["d"], ["a"], 80),
      ...open(["a"], ["d"], 80, 81),
      ...dropped(["b"], ["d"], 80),
      ...open(["d"], ["b"], 80, 81),
    ],
  },
  {
    case: 1,
    name: "an ingress rule satisfies no egress check, nor the other way round",
    cluster: {
      policies: {
        "shop/p": {
          spec: {
            podSelector: {}, policyTypes: ["Ingress", "Egress"],
            ingress: [{ ports: [{ port: 80 }, { port: 81 }] }], egress: [{ ports: [{ port: 81 }, { port: 82 }] }],
          },
        },
      },
    },
    packets: [
      ...open(["a"], ["b", "d"], 81),
      ...dropped(["a"], ["b", "d"], 80, 82),
      ...open(["c", "e"], ["a"], 80),
      ...dropped(["c", "e"], ["a"], 82),
      ...open(["a"], ["c", "e"], 82),
      ...dropped(["a"], ["c", "e"], 80),
    ],
  },
  {
    case: 1,
    name: "policies on one pod are a union, the egress of one and the ingress of another apart",
    cluster: {
      policies: {
        "shop/one": ingressOf("a", [{ from: [{ podSelector: only("b") }], ports: [{ port: 80 }] }]),
        "shop/two": ingressOf("a", [{ from: [{ podSelector: only("d") }], ports: [{ port: 81 }] }]),
        "shop/none": ingressOf("a", []),
      },
    },
    packets: [
      ...open(["b"], ["a"], 80), ...dropped(["b"], ["a"], 81),
      ...open(["d"], ["a"], 81), ...dropped(["d"], ["a"], 80),
      ...dropped(["c", "e"], ["a"], 80, 81),
    ],
  },
  {
    case: 1,
    name: "thirty policies on one pod, some shared with its neighbours",
    cluster: {
      policies: {
        ...Object.fromEntries(Array.from({ length: 30 }, (_, index) => [
          `shop/p${index}`,
          ingressOf("a", [{ from: [{ podSelector: only("b") }], ports: [{ port: 80 + 10 * index }] }]),
        ])),
        "shop/all": {
          spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ ports: [{ protocol: "UDP", port: 53 }] }] },
        },
      },
    },
    packets: [
      ...open(["b"], ["a"], 80, 90, 370, udp(53)), ...dropped(["b"], ["a"], 81, 380, udp(54)),
      ...dropped(["d", "c"], ["a"], 80, 370), ...open(["c", "e"], ["a", "b", "d"], udp(53)),
      ...dropped(["a", "c", "e"], ["b", "d"], 80, 370),
    ],
  },
  {
    case: 1,
    name: "neighbours with the same policy, and one with one more",
    cluster: {
      policies: {
        "shop/all": {
          spec: {
            podSelector: {}, policyTypes: ["Ingress", "Egress"],
            ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 80 }] }], egress: [{ to: [{ podSelector: {} }] }],
          },
        },
        "shop/more": ingressOf("b", [{ from: [{ namespaceSelector: {} }], ports: [{ port: 81 }] }]),
      },
    },
    packets: [
      ...open(["a", "b"], ["d"], 80), ...open(["d", "b"], ["a"], 80), ...open(["a", "d"], ["b"], 80, 81),
      ...dropped(["a", "b"], ["d"], 81), ...dropped(["d", "b"], ["a"], 81),
      ...open(["c", "e"], ["b"], 81), ...dropped(["c", "e"], ["a", "b", "d"], 80),
      ...dropped(["a", "d"], ["c", "e"], 80),
    ],
  },
  {
    case: 1,
    name: "enforce Segments: without a generated policy nothing is enforced",
    cluster: {
      enforce: "Segments",
      policies: { "shop/p": ingressOf("a", []), "shop/q": generated(ingressOf("b", [])) },
    },
    packets: [...open(["b", "d", "wan"], ["a"], 80), ...dropped(["a", "d", "wan"], ["b"], 80)],
  },
  {
    case: 1,
    name: "enforce Segments: with a generated policy all policies on the pod count",
    cluster: {
      enforce: "Segments",
      policies: {
        "shop/ours": generated(ingressOf("a", [{ from: [{ podSelector: only("b") }] }])),
        "shop/theirs": ingressOf("a", [{ from: [{ podSelector: only("d") }], ports: [{ port: 80 }] }]),
      },
    },
    packets: [...open(["b", "d"], ["a"], 80), ...dropped(["d"], ["a"], 81), ...dropped(["c", "e"], ["a"], 80)],
  },
  {
    case: 1,
    name: "enforce Segments: each direction by itself",
    cluster: {
      enforce: "Segments",
      policies: { "shop/ours": generated(ingressOf("a", [])), "shop/theirs": egressOf("a", []) },
    },
    packets: [...dropped(["b", "d"], ["a"], 80), ...open(["a"], ["b", "d", "wan"], 80)],
  },
];
