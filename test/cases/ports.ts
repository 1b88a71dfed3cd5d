import type { CaseRow } from "./case.ts";
import { dropped, open, udp } from "./packets.ts";
import { egressOf, ingressOf, only } from "./policies.ts";

/** Case 3: what a port item matches. */
export const PORTS: readonly CaseRow[] = [
  {
    case: 3,
    name: "the protocol defaults to TCP",
    cluster: { policies: { "shop/p": ingressOf("a", [{ ports: [{ port: 53 }, { port: 80 }] }]) } },
    packets: [...open(["b", "d", "wan"], ["a"], 80, 53), ...dropped(["b", "d", "wan"], ["a"], udp(53), 81)],
  },
  {
    case: 3,
    name: "UDP alone",
    cluster: { policies: { "shop/p": ingressOf("a", [{ ports: [{ protocol: "UDP", port: 53 }] }]) } },
    packets: [...open(["b", "d", "wan"], ["a"], udp(53)), ...dropped(["b", "d", "wan"], ["a"], 53, 80, udp(54))],
  },
  {
    case: 3,
    name: "a port without a number is the whole protocol, and no other",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ ports: [{ protocol: "UDP" }] }]),
        "shop/q": ingressOf("d", [{ from: [{ podSelector: only("b") }], ports: [{}] }]),
      },
    },
    packets: [
      ...open(["b", "d"], ["a"], udp(53), udp(54), udp(9)), ...dropped(["b", "d"], ["a"], 53, 80, "ping"),
      ...open(["b"], ["d"], 80, 82, 9), ...dropped(["b"], ["d"], udp(53), "ping"), ...dropped(["a"], ["d"], 80),
    ],
  },
  {
    case: 3,
    name: "endPort is inclusive at both ends",
    cluster: { policies: { "shop/p": ingressOf("a", [{ ports: [{ port: 80, endPort: 81 }] }]) } },
    packets: [...open(["b", "d"], ["a"], 80, 81), ...dropped(["b", "d"], ["a"], 79, 82, udp(80))],
  },
  {
    case: 3,
    name: "endPort equal to port is one port; the range of all ports is one protocol",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ ports: [{ port: 81, endPort: 81 }] }]),
        "shop/q": ingressOf("d", [{ ports: [{ port: 1, endPort: 65535 }] }]),
      },
    },
    packets: [
      ...open(["b", "e"], ["a"], 81), ...dropped(["b", "e"], ["a"], 80, 82),
      ...open(["b", "e"], ["d"], 1, 80, 65535), ...dropped(["b", "e"], ["d"], udp(53), "ping"),
    ],
  },
  {
    case: 3,
    name: "a range in UDP, overlapping ranges in TCP",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [
          { ports: [{ protocol: "UDP", port: 50, endPort: 53 }] },
          { ports: [{ port: 80, endPort: 81 }, { port: 81, endPort: 90 }] },
        ]),
      },
    },
    packets: [
      ...open(["b", "d"], ["a"], udp(50), udp(53), 80, 81, 82, 90),
      ...dropped(["b", "d"], ["a"], udp(54), udp(80), 91, 53),
    ],
  },
  {
    case: 3,
    name: "twenty ports and five ranges in one rule",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{
          from: [{ podSelector: {} }],
          ports: [
            ...Array.from({ length: 20 }, (_, index) => ({ port: 1000 + 2 * index })),
            ...Array.from({ length: 5 }, (_, index) => ({ port: 2000 + 10 * index, endPort: 2004 + 10 * index })),
            { port: 5432 },
          ],
        }]),
      },
    },
    packets: [
      ...open(["b", "d"], ["a"], 1000, 1038, 2000, 2044, 5432),
      ...dropped(["b", "d"], ["a"], 1001, 1040, 2005, 2045, 80, udp(1000)),
      ...dropped(["c", "e"], ["a"], 1000, 5432),
    ],
  },
  {
    case: 3,
    name: "peers and ports belong to their own rule",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ podSelector: only("b") }], ports: [{ port: 80 }] },
          { from: [{ podSelector: only("d") }], ports: [{ port: 81 }, { protocol: "UDP", port: 53 }] },
        ]),
      },
    },
    packets: [
      ...open(["b"], ["a"], 80), ...dropped(["b"], ["a"], 81, udp(53)),
      ...open(["d"], ["a"], 81, udp(53)), ...dropped(["d"], ["a"], 80),
    ],
  },
  {
    case: 3,
    name: "egress: one port, a whole protocol, a range",
    cluster: {
      policies: {
        "shop/p": egressOf("a", [
          { to: [{ podSelector: only("b") }], ports: [{ port: 80 }] },
          { to: [{ podSelector: only("d") }], ports: [{ protocol: "UDP" }, { port: 81, endPort: 82 }] },
        ]),
      },
    },
    packets: [
      ...open(["a"], ["b"], 80), ...dropped(["a"], ["b"], 81, udp(53)),
      ...open(["a"], ["d"], 81, 82, udp(53), udp(54)), ...dropped(["a"], ["d"], 80, 83),
      ...dropped(["a"], ["c", "e", "wan"], 80, 81),
    ],
  },
  {
    case: 3,
    name: "the same peer with the same port in several rules, once wider",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ podSelector: only("b") }], ports: [{ port: 80 }] },
          { from: [{ podSelector: only("b") }], ports: [{ port: 80 }, { port: 81 }] },
        ]),
        "shop/q": ingressOf("a", [{ from: [{ podSelector: only("d") }], ports: [{ port: 80, endPort: 82 }] }]),
      },
    },
    packets: [
      ...open(["b", "d"], ["a"], 80, 81),
      ...open(["d"], ["a"], 82), ...dropped(["b"], ["a"], 82),
    ],
  },
];
