import type { CaseRow } from "./case.ts";
import { hostBlocks } from "./ip-block.ts";
import { dropped, open, sctp, udp } from "./packets.ts";
import { egressOf, ingressOf, only } from "./policies.ts";

/** Cases 17, 18 and 19: how a packet is refused, and what has no TCP or UDP port. */
export const PROTOCOLS: readonly CaseRow[] = [
  {
    case: 17,
    name: "a denied packet gets no answer, where nobody listens either",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ from: [{ podSelector: only("d") }] }]),
        "shop/q": egressOf("b", [{ to: [{ podSelector: only("d") }] }]),
      },
    },
    packets: [
      ...dropped(["c", "e", "wan"], ["a"], 9, udp(9)), ...open(["d"], ["a"], 9, udp(9)),
      ...dropped(["b"], ["c", "e", "wan"], 9, udp(9)), ...open(["b"], ["d"], 9, udp(9)),
    ],
  },
  {
    case: 18,
    name: "rules without ports allow ICMP, rules with ports do not",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ podSelector: only("b") }] },
          { from: [{ podSelector: only("d") }], ports: [{ port: 80 }, {}, { protocol: "UDP" }, { protocol: "SCTP" }] },
        ]),
        "other/p": ingressOf("e", [{}]),
      },
    },
    packets: [
      ...open(["b"], ["a"], "ping"), ...dropped(["d"], ["a"], "ping"), ...open(["d"], ["a"], 80, udp(53)),
      ...dropped(["c", "e", "wan"], ["a"], "ping"), ...open(["b", "c", "d", "wan"], ["e"], "ping"),
    ],
  },
  {
    case: 18,
    name: "egress: the same",
    cluster: {
      policies: {
        "shop/p": egressOf("a", [
          { to: [{ podSelector: only("b") }, { podSelector: only("d") }] },
          { to: [{ namespaceSelector: {} }], ports: [{ port: 80 }] },
        ]),
      },
    },
    packets: [
      ...open(["a"], ["b", "d"], "ping"), ...dropped(["a"], ["c", "e", "wan"], "ping"), ...open(["a"], ["c", "e"], 80),
    ],
  },
  {
    case: 18,
    name: "blocks without ports allow ICMP",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [
          { from: hostBlocks(plan, "wan") }, { from: hostBlocks(plan, "e"), ports: [{ port: 80 }] },
        ]),
      },
    }),
    packets: [...open(["wan"], ["a"], "ping"), ...dropped(["e", "b"], ["a"], "ping"), ...open(["e"], ["a"], 80)],
  },
  {
    case: 18,
    name: "an echo's answer needs no rule of its own",
    cluster: {
      policies: { "shop/p": { spec: { podSelector: only("a"), policyTypes: ["Ingress", "Egress"], egress: [{}] } } },
    },
    packets: [...open(["a"], ["b", "d", "wan"], "ping", 80, udp(53)), ...dropped(["b", "d", "wan"], ["a"], "ping", 80)],
  },
  {
    case: 19,
    name: "a rule for SCTP opens nothing else, and isolates",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ ports: [{ protocol: "SCTP", port: 80 }, { protocol: "SCTP", port: 53 }] }]),
        "shop/q": egressOf("b", [{ ports: [{ protocol: "SCTP" }] }]),
      },
    },
    packets: [
      ...dropped(["b", "d", "wan"], ["a"], 80, 53, udp(53), "ping"), ...dropped(["b"], ["d", "wan"], 80, udp(53)),
      ...open(["d"], ["b", "e"], 80),
    ],
  },
  {
    case: 19,
    name: "SCTP by port, range and whole protocol",
    needs: ["sctp"],
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ ports: [{ protocol: "SCTP", port: 80, endPort: 81 }] }]),
        "shop/q": ingressOf("d", [{ from: [{ podSelector: only("b") }], ports: [{ protocol: "SCTP" }] }]),
      },
    },
    packets: [
      ...open(["b", "d", "wan"], ["a"], sctp(80), sctp(81)), ...dropped(["b", "d", "wan"], ["a"], sctp(82), 80),
      ...open(["b"], ["d"], sctp(9)), ...dropped(["a", "e"], ["d"], sctp(80)),
    ],
  },
  {
    case: 19,
    name: "rules for TCP and UDP open no SCTP; a rule without ports does",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ podSelector: only("b") }], ports: [{}, { protocol: "UDP" }] },
          { from: [{ podSelector: only("d") }] },
        ]),
      },
    },
    packets: [
      ...dropped(["b"], ["a"], sctp(80)), ...open(["b"], ["a"], 80, udp(53)), ...open(["d"], ["a"], sctp(80)),
    ],
  },
];
