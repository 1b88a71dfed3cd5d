import type { CaseRow } from "./case.ts";
import { blockPeers, hostBlocks } from "./ip-block.ts";
import { dropped, open, udp } from "./packets.ts";
import { egressOf, ingressOf, only } from "./policies.ts";

const TO_A = { web: { pod: "a", port: 8080, targetPort: 80 } } as const;
const WEB = { service: "web" };
const DNS = { service: "dns" };
const LOG = { service: "log" };
const AT_LEFT = { service: "web", node: "left" } as const;
const AT_RIGHT = { service: "web", node: "right" } as const;

/** Cases 8, 12 and 22, and of 11 what concerns Services. A shot's port counts for direct targets only. */
export const SERVICES: readonly CaseRow[] = [
  {
    case: 8,
    name: "ingress is judged by the endpoint's port, not by the Service's",
    cluster: {
      services: TO_A,
      policies: { "shop/p": ingressOf("a", [{ from: [{ podSelector: {} }], ports: [{ port: 80 }] }]) },
    },
    packets: [...open(["b", "d"], [WEB], 8080), ...dropped(["c", "e"], [WEB], 8080), ...dropped(["b", "d"], ["a"], 81)],
  },
  {
    case: 8,
    name: "a rule for the Service's port opens nothing",
    cluster: {
      services: { ...TO_A, mail: { pod: "d", port: 80, targetPort: 81 } },
      policies: {
        "shop/p": ingressOf("a", [{ ports: [{ port: 8080 }] }]),
        "shop/q": ingressOf("d", [{ ports: [{ port: 81 }] }]),
      },
    },
    packets: [...dropped(["b", "d", "e"], [WEB], 8080), ...open(["b", "a", "e"], [{ service: "mail" }], 80)],
  },
  {
    case: 8,
    name: "egress is judged by the endpoint's address and port",
    cluster: {
      services: TO_A,
      policies: {
        "shop/p": egressOf("b", [{ to: [{ podSelector: only("a") }], ports: [{ port: 80 }] }]),
        "shop/q": egressOf("d", [{ to: [{ podSelector: only("a") }], ports: [{ port: 8080 }] }]),
      },
    },
    packets: [...open(["b"], [WEB], 8080), ...dropped(["d"], [WEB], 8080)],
  },
  {
    case: 8,
    name: "a block that holds the ClusterIPs opens no Service",
    cluster: (plan) => ({
      services: TO_A,
      policies: {
        "shop/p": egressOf("b", [{ to: blockPeers(plan, plan.serviceNet) }]),
        "shop/q": egressOf("d", [{ to: hostBlocks(plan, "a") }]),
      },
    }),
    packets: [...dropped(["b"], [WEB], 8080), ...open(["d"], [WEB], 8080)],
  },
  {
    case: 8,
    name: "a named port is the endpoint's",
    cluster: {
      services: TO_A,
      pods: { a: { spec: { containers: [{ name: "main", ports: [{ name: "http", containerPort: 80 }] }] } } },
      policies: {
        "shop/p": ingressOf("a", [{ ports: [{ port: "http" }] }]),
        "shop/q": egressOf("b", [{ ports: [{ port: "http" }] }]),
        "shop/r": egressOf("d", [{ ports: [{ port: "https" }] }]),
      },
    },
    packets: [...open(["b", "c", "e"], [WEB], 8080), ...dropped(["d"], [WEB], 8080)],
  },
  {
    case: 8,
    name: "UDP: the endpoint's port is judged, and that of TCP is another",
    cluster: {
      services: {
        dns: { pod: "a", protocol: "UDP", port: 8053, targetPort: 53 },
        log: { pod: "b", protocol: "UDP", port: 8054, targetPort: 54 },
      },
      policies: {
        "shop/p": ingressOf("a", [{ from: [{ podSelector: {} }], ports: [{ protocol: "UDP", port: 53 }] }]),
        "shop/q": ingressOf("b", [{ ports: [{ port: 54 }, { protocol: "UDP", port: 8054 }] }]),
        "shop/r": egressOf("d", [{ ports: [{ protocol: "UDP", port: 8053 }] }]),
      },
    },
    packets: [
      ...open(["b"], [DNS], udp(8053)), ...dropped(["c", "d", "e"], [DNS], udp(8053)),
      ...dropped(["a", "c", "e"], [LOG], udp(8054)),
    ],
  },
  {
    case: 11,
    name: "a client of a NodePort is judged by itself at the endpoint's node, and as the other node elsewhere",
    cluster: (plan) => ({
      services: { ...TO_A, other: { pod: "b", port: 8081, targetPort: 80 } },
      policies: {
        "shop/p": ingressOf("a", [{ from: hostBlocks(plan, "wan") }]),
        "shop/q": ingressOf("b", [{ from: hostBlocks(plan, "right") }]),
      },
    }),
    packets: [
      ...open(["wan"], [AT_LEFT], 8080), ...dropped(["wan"], [AT_RIGHT], 8080),
      ...dropped(["wan"], [{ service: "other", node: "left" }], 8081),
      ...open(["wan"], [{ service: "other", node: "right" }], 8081),
    ],
  },
  {
    case: 12,
    name: "a pod reaches itself, through its own Service too, whatever isolates it",
    cluster: {
      services: TO_A,
      policies: { "shop/p": ingressOf("a", []), "shop/q": egressOf("a", []) },
    },
    packets: [...open(["a"], ["a"], 80), ...open(["a"], [WEB], 8080), ...dropped(["b", "d"], [WEB], 8080)],
  },
  {
    case: 12,
    name: "a pod reaches itself directly, whatever isolates it",
    cluster: {
      policies: {
        "shop/p": { spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] } },
      },
    },
    packets: [...open(["a"], ["a"], 80, "ping"), ...open(["d"], ["d"], 80), ...dropped(["a"], ["b", "d"], 80)],
  },
  {
    case: 22,
    name: "what kube-proxy has marked and would accept is judged all the same",
    cluster: (plan) => ({
      services: { ...TO_A, open: { pod: "b", port: 8081, targetPort: 80 } },
      policies: {
        "shop/p": ingressOf("a", [{ from: hostBlocks(plan, "d") }]),
        "shop/q": ingressOf("b", [{ from: hostBlocks(plan, "wan", "right") }]),
      },
    }),
    packets: [
      ...dropped(["wan"], [AT_LEFT, AT_RIGHT], 8080),
      ...open(["wan"], [{ service: "open", node: "left" }, { service: "open", node: "right" }], 8081),
    ],
  },
];
