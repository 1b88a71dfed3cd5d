import type { CaseRow } from "./case.ts";
import { hostBlocks } from "./ip-block.ts";
import { dropped, open, udp } from "./packets.ts";
import { egressOf, ingressOf } from "./policies.ts";

/** `default-deny`: isolates every pod of `shop` in both directions. */
const DENY = { spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] } };
const EVERY_POD = { namespaceSelector: {} };

/** Cases 9, 10, 11 and 13: nodes, and pods that have a node's address. */
export const NODES: readonly CaseRow[] = [
  {
    case: 9,
    name: "a node reaches its own pods, whatever isolates them; another node does not",
    cluster: { policies: { "shop/p": DENY } },
    packets: [
      ...open(["left"], ["a", "b"], 80, udp(53), "ping"), ...open(["right"], ["d"], 80, udp(53), "ping"),
      ...dropped(["right"], ["a", "b"], 80, udp(53), "ping"), ...dropped(["left"], ["d"], 80, udp(53), "ping"),
    ],
  },
  {
    case: 9,
    name: "nodeTraffic Enforce leaves a node the way to its own pods",
    cluster: { nodeTraffic: "Enforce", policies: { "shop/p": DENY } },
    packets: [...open(["left"], ["a"], 80, "ping"), ...dropped(["right"], ["a"], 80, "ping")],
  },
  {
    case: 10,
    name: "a pod reaches its own node, whatever isolates it; another node it does not",
    cluster: { policies: { "shop/p": DENY } },
    packets: [
      ...open(["a", "b"], ["left"], 80, udp(53), "ping"), ...open(["d"], ["right"], 80, udp(53), "ping"),
      ...dropped(["a", "b"], ["right"], 80, udp(53), "ping"), ...dropped(["d"], ["left"], 80, udp(53), "ping"),
    ],
  },
  {
    case: 10,
    name: "nodeTraffic Enforce polices it",
    cluster: (plan) => ({
      nodeTraffic: "Enforce",
      policies: {
        "shop/p": DENY,
        "shop/q": egressOf("b", [{ to: hostBlocks(plan, "left"), ports: [{ port: 80 }] }]),
      },
    }),
    packets: [
      ...dropped(["a"], ["left"], 80, udp(53), "ping"), ...dropped(["d"], ["right"], 80, udp(53), "ping"),
      ...open(["b"], ["left"], 80), ...dropped(["b"], ["left"], 81, udp(53)),
      ...open(["c"], ["left"], 80, udp(53), "ping"), ...open(["e"], ["right"], 80),
    ],
  },
  {
    case: 10,
    name: "nodeTraffic Enforce asks nothing of pods that only ingress isolates",
    cluster: { nodeTraffic: "Enforce", policies: { "shop/p": ingressOf("a", []), "shop/q": egressOf("b", []) } },
    packets: [...open(["a"], ["left"], 80), ...dropped(["b"], ["left"], 80), ...dropped(["d"], ["a"], 80)],
  },
  {
    case: 11,
    name: "another node needs a block with its address",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{ from: hostBlocks(plan, "right"), ports: [{ port: 80 }] }]),
        "shop/q": ingressOf("b", [{ from: [EVERY_POD] }]),
        "shop/r": egressOf("d", [{ to: hostBlocks(plan, "left"), ports: [{ port: 81 }] }]),
      },
    }),
    packets: [
      ...open(["right"], ["a"], 80), ...dropped(["right"], ["a"], 81, "ping"), ...dropped(["right"], ["b"], 80),
      ...open(["left"], ["a", "b"], 81), ...open(["d"], ["left"], 81), ...dropped(["d"], ["left"], 80),
    ],
  },
  {
    case: 13,
    name: "a hostNetwork pod is no peer: its address is its node's",
    cluster: (plan) => ({
      ghosts: {
        agent: {
          node: "left", labels: { tier: "web" }, spec: { hostNetwork: true },
          addresses: () => plan.families.map((family) => plan.address("left", family)),
        },
      },
      policies: {
        "shop/p": ingressOf("d", [{ from: [EVERY_POD, { podSelector: { matchLabels: { tier: "web" } } }] }]),
        "shop/r": egressOf("d", [{ to: [EVERY_POD] }]),
      },
    }),
    packets: [
      ...dropped(["left"], ["d"], 80, "ping"), ...open(["b", "c", "e"], ["d"], 80),
      ...dropped(["d"], ["left"], 80), ...open(["d"], ["a", "c"], 80),
    ],
  },
  {
    case: 13,
    name: "a hostNetwork pod is not selectable: nothing isolates a node",
    cluster: (plan) => ({
      ghosts: {
        agent: {
          node: "left", labels: { tier: "agent" }, spec: { hostNetwork: true },
          addresses: () => plan.families.map((family) => plan.address("left", family)),
        },
      },
      policies: {
        "shop/p": {
          spec: { podSelector: { matchLabels: { tier: "agent" } }, policyTypes: ["Ingress", "Egress"] },
        },
        "shop/q": ingressOf("b", []),
      },
    }),
    packets: [
      ...open(["right", "d", "a"], ["left"], 80), ...open(["left"], ["d", "a"], 80), ...dropped(["right"], ["b"], 80),
    ],
  },
  {
    case: 13,
    name: "a named port of a hostNetwork pod opens no node",
    cluster: (plan) => ({
      pods: { e: { spec: { containers: [{ name: "main", ports: [{ name: "http", containerPort: 80 }] }] } } },
      ghosts: {
        agent: {
          node: "left",
          spec: { hostNetwork: true, containers: [{ name: "main", ports: [{ name: "http", containerPort: 80 }] }] },
          addresses: () => plan.families.map((family) => plan.address("left", family)),
        },
      },
      policies: { "shop/p": egressOf("d", [{ ports: [{ port: "http" }] }]) },
    }),
    packets: [...dropped(["d"], ["left"], 80), ...open(["d"], ["e"], 80)],
  },
];
