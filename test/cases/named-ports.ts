import type { CaseRow } from "./case.ts";
import { anyBlock, block, blockPeers, hostBlocks } from "./ip-block.ts";
import { dropped, open, udp } from "./packets.ts";
import { containerPorts, egressOf, ingressOf, only, withPorts } from "./policies.ts";

const HTTP = [{ port: "http" }];

/** Cases 4 and 5: names of container ports, looked up on the pod that is the server. */
export const NAMED_PORTS: readonly CaseRow[] = [
  {
    case: 4,
    name: "each target pod resolves the name for itself",
    cluster: {
      pods: { a: withPorts({ http: 80 }), d: withPorts({ http: 81 }) },
      policies: { "shop/p": { spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ ports: HTTP }] } } },
    },
    packets: [
      ...open(["b", "c", "e", "wan"], ["a"], 80), ...dropped(["b", "c", "e", "wan"], ["a"], 81),
      ...open(["b", "c", "e", "wan"], ["d"], 81), ...dropped(["b", "c", "e", "wan"], ["d"], 80),
    ],
  },
  {
    case: 4,
    name: "a name that the pod does not have matches nothing, never any port",
    cluster: {
      pods: { a: withPorts({ web: 80 }), d: withPorts({ http: 80 }) },
      policies: { "shop/p": { spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ ports: HTTP }] } } },
    },
    packets: [...dropped(["c", "e"], ["a", "b"], 80, 81, udp(53), "ping"), ...open(["c", "e"], ["d"], 80)],
  },
  {
    case: 4,
    name: "the protocol has to be the port's",
    cluster: {
      pods: { a: withPorts({ dns: ["UDP", 53] }), d: withPorts({ dns: ["UDP", 53], "dns-tcp": 53 }) },
      policies: {
        "shop/p": ingressOf("a", [{ ports: [{ port: "dns" }] }]),
        "shop/q": ingressOf("d", [{ ports: [{ protocol: "UDP", port: "dns" }, { port: "dns-tcp" }] }]),
      },
    },
    packets: [...dropped(["b", "e"], ["a"], 53, udp(53)), ...open(["b", "e"], ["d"], udp(53), 53)],
  },
  {
    case: 4,
    name: "one name for two numbers in one pod",
    cluster: {
      pods: {
        a: {
          spec: {
            containers: [
              { name: "one", ports: containerPorts({ http: 80 }) },
              { name: "two", ports: containerPorts({ http: 82 }) },
            ],
          },
        },
      },
      policies: { "shop/p": ingressOf("a", [{ from: [{ podSelector: {} }], ports: HTTP }]) },
    },
    packets: [...open(["b", "d"], ["a"], 80, 82), ...dropped(["b", "d"], ["a"], 81), ...dropped(["c"], ["a"], 80)],
  },
  {
    case: 4,
    name: "init containers count if they are restartable",
    cluster: {
      pods: {
        a: {
          spec: {
            containers: [{ name: "main" }],
            initContainers: [
              { name: "sidecar", restartPolicy: "Always", ports: containerPorts({ proxy: 81 }) },
              { name: "setup", ports: containerPorts({ setup: 82 }) },
            ],
          },
        },
      },
      policies: { "shop/p": ingressOf("a", [{ ports: [{ port: "proxy" }, { port: "setup" }] }]) },
    },
    packets: [...open(["b", "d"], ["a"], 81), ...dropped(["b", "d"], ["a"], 80, 82)],
  },
  {
    case: 4,
    name: "named and numbered ports in one rule, each for its own",
    cluster: {
      pods: { a: withPorts({ http: 80 }) },
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ podSelector: only("b") }], ports: [{ port: "http" }, { port: 5432 }] },
          { from: [{ podSelector: only("d") }], ports: HTTP },
        ]),
      },
    },
    packets: [
      ...open(["b"], ["a"], 80, 5432), ...open(["d"], ["a"], 80),
      ...dropped(["b", "d"], ["a"], 81), ...dropped(["d"], ["a"], 5432),
    ],
  },
  {
    case: 4,
    name: "a name and a block of addresses",
    cluster: (plan) => ({
      pods: { a: withPorts({ http: 80 }) },
      policies: { "shop/p": ingressOf("a", [{ from: hostBlocks(plan, "wan"), ports: HTTP }]) },
    }),
    packets: [...open(["wan"], ["a"], 80), ...dropped(["wan"], ["a"], 81), ...dropped(["b", "d"], ["a"], 80)],
  },
  {
    case: 5,
    name: "egress: each destination pod resolves the name for itself",
    cluster: {
      pods: { b: withPorts({ http: 80 }), d: withPorts({ http: 81 }) },
      policies: { "shop/p": egressOf("a", [{ to: [{ podSelector: {} }], ports: HTTP }]) },
    },
    packets: [
      ...open(["a"], ["b"], 80), ...dropped(["a"], ["b"], 81),
      ...open(["a"], ["d"], 81), ...dropped(["a"], ["d"], 80),
      ...dropped(["a"], ["c", "e", "wan"], 80, 81),
    ],
  },
  {
    case: 5,
    name: "egress: the client's own port names say nothing",
    cluster: {
      pods: { a: withPorts({ http: 80 }), d: withPorts({ http: 82 }) },
      policies: { "shop/p": egressOf("a", [{ to: [{ podSelector: {} }], ports: HTTP }]) },
    },
    packets: [...dropped(["a"], ["b", "d"], 80), ...open(["a"], ["d"], 82)],
  },
  {
    case: 5,
    name: "egress without to: only pods that have the name",
    cluster: {
      pods: { b: withPorts({ http: 80 }), e: withPorts({ http: 82 }) },
      policies: { "shop/p": egressOf("a", [{ ports: HTTP }]) },
    },
    packets: [
      ...open(["a"], ["b"], 80), ...open(["a"], ["e"], 82),
      ...dropped(["a"], ["c", "d", "wan"], 80, 82), ...dropped(["a"], ["b"], 82), ...dropped(["a"], ["e"], 80),
    ],
  },
  {
    case: 5,
    name: "egress to a block: only pods inside it that have the name",
    cluster: (plan) => ({
      pods: { b: withPorts({ http: 80 }), d: withPorts({ http: 80 }), e: withPorts({ http: 81 }) },
      policies: {
        "shop/p": egressOf("a", [{
          to: hostBlocks(plan, "b", "c", "e", "wan"),
          ports: HTTP,
        }]),
      },
    }),
    packets: [
      ...open(["a"], ["b"], 80), ...open(["a"], ["e"], 81),
      ...dropped(["a"], ["c", "d", "wan"], 80), ...dropped(["a"], ["e"], 80),
    ],
  },
  {
    case: 5,
    name: "egress to a block with an exception: the pod in the exception is left out",
    cluster: (plan) => ({
      pods: { b: withPorts({ http: 80 }), d: withPorts({ http: 80 }) },
      policies: {
        "shop/p": egressOf("a", [{
          to: blockPeers(plan, anyBlock, (family) => [block(plan, "d", 0, family)]),
          ports: HTTP,
        }]),
      },
    }),
    packets: [...open(["a"], ["b"], 80), ...dropped(["a"], ["d", "c", "wan"], 80)],
  },
  {
    case: 5,
    name: "egress: a number and a name in one rule, UDP names too",
    cluster: {
      pods: { b: withPorts({ dns: ["UDP", 53] }), d: withPorts({ dns: 80 }) },
      policies: {
        "shop/p": egressOf("a", [
          { to: [{ podSelector: {} }], ports: [{ protocol: "UDP", port: "dns" }, { port: 81 }] },
        ]),
      },
    },
    packets: [
      ...open(["a"], ["b"], udp(53)), ...open(["a"], ["b", "d"], 81),
      ...dropped(["a"], ["b", "d"], 80, udp(54)), ...dropped(["a"], ["d"], udp(53)),
      ...dropped(["a"], ["c", "wan"], 81),
    ],
  },
  {
    case: 5,
    name: "egress by name, ingress by number: each side judges for itself",
    cluster: {
      pods: { d: withPorts({ http: 80 }) },
      policies: {
        "shop/p": egressOf("a", [{ to: [{ podSelector: {} }], ports: HTTP }]),
        "shop/q": ingressOf("d", [{ ports: [{ port: 80 }, { port: 81 }] }]),
        "shop/r": ingressOf("b", []),
      },
    },
    packets: [...open(["a"], ["d"], 80), ...dropped(["a"], ["d"], 81), ...dropped(["a"], ["b"], 80)],
  },
];
