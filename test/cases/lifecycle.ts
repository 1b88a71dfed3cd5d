import type { AddressPlan, CaseRow, Family, Host, PodDraft, StepRow } from "./case.ts";
import { anyBlock, blockPeers } from "./ip-block.ts";
import { dropped, open, within } from "./packets.ts";
import { egressOf, ingressOf, only } from "./policies.ts";

const OLD = { matchLabels: { generation: "old" } };
const OTHERS = { namespaceSelector: { matchLabels: { team: "other" } } };
const WEB_PEER = { podSelector: { matchLabels: { tier: "web" } } };
/** `a` hears webs, `b` (a web) nobody. */
const WALLS = { "shop/p": ingressOf("a", [{ from: [WEB_PEER] }]), "shop/q": ingressOf("b", []) };
/** The same, and `a` opens nothing itself: what it sends to a pod whose connections are forgotten would be a new one. */
const SILENT_DB = { ...WALLS, "shop/r": egressOf("a", []) };

/** Pods that end, hand their address on, or have one family only: cases 14, 15 and 20. */
export const LIFECYCLE: readonly CaseRow[] = [
  ...["Succeeded", "Failed"].map((phase): CaseRow => ({
    case: 14,
    name: `${phase}: the pod is no peer any more, nor isolated`,
    cluster: {
      pods: { b: { status: { phase } }, e: { status: { phase } } },
      policies: {
        "shop/p": ingressOf("a", [{ from: [{ namespaceSelector: {} }] }]),
        "shop/q": ingressOf("b", []),
        "other/q": ingressOf("e", []),
      },
    },
    packets: [...dropped(["b", "e"], ["a"], 80), ...open(["c", "d"], ["a"], 80), ...open(["a", "d"], ["b", "e"], 80)],
  })),
  {
    case: 14,
    name: "a pod that is being deleted stays what it is until it is gone",
    cluster: {
      pods: { b: { deleting: true }, d: { deleting: true } },
      policies: { "shop/p": ingressOf("a", [{ from: [WEB_PEER] }]), "shop/q": ingressOf("d", []) },
    },
    packets: [...open(["b", "d"], ["a"], 80), ...dropped(["a", "e"], ["d"], 80)],
  },
  {
    case: 15,
    name: "an address that an ending pod still claims is its next pod's",
    cluster: {
      ghosts: { before: { ...claiming("b"), node: "left", labels: { generation: "old" }, deleting: true } },
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ podSelector: OLD }], ports: [{ port: 80 }] },
          { from: [{ podSelector: only("b") }], ports: [{ port: 81 }] },
        ]),
        "shop/q": { spec: { podSelector: OLD, policyTypes: ["Ingress", "Egress"] } },
        "shop/r": ingressOf("b", [{ from: [{ podSelector: only("d") }] }]),
      },
    },
    packets: [
      ...dropped(["b"], ["a"], 80), ...open(["b"], ["a"], 81), ...open(["d"], ["b"], 80), ...dropped(["c"], ["b"], 80),
    ],
  },
  {
    case: 15,
    name: "a finished pod's address is its next pod's",
    cluster: {
      ghosts: {
        before: { ...claiming("b"), node: "left", labels: { generation: "old" }, status: { phase: "Failed" } },
      },
      policies: {
        "shop/p": ingressOf("a", [{ from: [{ podSelector: only("b") }] }]),
        "shop/q": ingressOf("d", [{ from: [{ podSelector: OLD }] }]),
      },
    },
    packets: [...open(["b"], ["a"], 80), ...dropped(["b"], ["d"], 80)],
  },
  {
    case: 20,
    name: "a peer counts in the families it has addresses of",
    cluster: {
      pods: { b: inOne("ipv4", "b"), d: inOne("ipv4", "d"), c: inOne("ipv6", "c"), e: inOne("ipv6", "e") },
      policies: { "shop/p": ingressOf("a", [{ from: [WEB_PEER] }]), "shop/q": ingressOf("d", [{ from: [OTHERS] }]) },
    },
    packets: [
      ...within("ipv6", open(["c", "e"], ["d"], 80)), ...within("ipv4", dropped(["c", "e"], ["d"], 80)),
      ...within("ipv4", open(["b", "d"], ["a"], 80)), ...within("ipv6", dropped(["b", "d"], ["a"], 80)),
      ...dropped(["c", "e"], ["a"], 80),
    ],
  },
  {
    case: 20,
    name: "a block opens its own family only; both families are isolated",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{ from: blockPeers({ ...plan, families: ["ipv4"] }, anyBlock) }]),
        "shop/q": ingressOf("d", [{ from: blockPeers({ ...plan, families: ["ipv6"] }, anyBlock) }]),
      },
    }),
    packets: [
      ...within("ipv4", open(["b", "e", "wan"], ["a"], 80, "ping")),
      ...within("ipv6", dropped(["b", "e", "wan"], ["a"], 80, "ping")),
      ...within("ipv6", open(["b", "e", "wan"], ["d"], 80, "ping")),
      ...within("ipv4", dropped(["b", "e", "wan"], ["d"], 80, "ping")),
    ],
  },
  {
    case: 20,
    name: "a selector means all families that there are",
    cluster: { policies: { "shop/p": ingressOf("a", [{ from: [WEB_PEER], ports: [{ port: 80 }] }]) } },
    packets: [...open(["b", "d"], ["a"], 80), ...dropped(["b", "d"], ["a"], 81), ...dropped(["c", "e"], ["a"], 80)],
  },
];

/** What is left when a pod has ended, or has gone and its address went on. */
export const ENDINGS: readonly StepRow[] = [
  {
    case: 14,
    name: "a pod that ends leaves every set, with the connections it had",
    steps: [
      { apply: { policies: SILENT_DB } },
      { packets: [...open(["b", "d"], ["a"], 80), ...dropped(["c", "d"], ["b"], 80)] },
      { connect: "ending", from: "b", to: "a", protocol: "TCP", port: 5432 },
      { connect: "staying", from: "d", to: "a", protocol: "TCP", port: 5432 },
      { apply: { pods: { b: { status: { phase: "Succeeded" } } }, policies: SILENT_DB } },
      { packets: [...dropped(["b"], ["a"], 80), ...open(["d"], ["a"], 80), ...open(["c", "d"], ["b"], 80)] },
      { ask: "ending", expect: "cut" },
      { ask: "staying", expect: "answered" },
    ],
  },
  {
    case: 15,
    name: "the late delete of the pod before takes nothing from its next pod",
    steps: [
      {
        apply: {
          ghosts: { before: { ...claiming("b"), node: "left", labels: { tier: "web" }, deleting: true } },
          policies: WALLS,
        },
      },
      { packets: [...open(["b"], ["a"], 80), ...dropped(["c", "d"], ["b"], 80)] },
      { apply: { policies: WALLS } },
      { packets: [...open(["b"], ["a"], 80), ...dropped(["c", "d"], ["b"], 80)] },
    ],
  },
];

/** A draft that says it has another host's addresses. */
function claiming(host: Host): PodDraft {
  return { addresses: (plan: AddressPlan) => plan.families.map((family) => plan.address(host, family)) };
}

function inOne(family: Family, host: Host): PodDraft {
  return { addresses: ({ families, address }) => (families.includes(family) ? [address(host, family)] : []) };
}
