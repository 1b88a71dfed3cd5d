import type { CaseRow, ClusterDraft, NodeHost, PodDraft } from "./case.ts";
import { hostBlocks } from "./ip-block.ts";
import { dropped, open } from "./packets.ts";
import { egressOf, ingressOf, only } from "./policies.ts";

const WEBS = { podSelector: { matchLabels: { tier: "web" } } };

/** Webs may talk to `a`, and `d` alone to the webs. */
const PEER_AND_ISOLATED: ClusterDraft["policies"] = {
  "shop/p": ingressOf("a", [{ from: [WEBS] }]),
  "shop/q": { spec: { ...WEBS, policyTypes: ["Ingress"], ingress: [{ from: [{ podSelector: only("d") }] }] } },
};

/** An address that two pods claim. */
export const TWINS: readonly CaseRow[] = [
  {
    case: 15,
    name: "two pods with one address: nobody's peer, and still isolated",
    cluster: {
      ghosts: { twin: twinOfB("left") },
      policies: PEER_AND_ISOLATED,
    },
    packets: [...dropped(["b"], ["a"], 80), ...dropped(["c", "wan"], ["b"], 80), ...open(["d"], ["a", "b"], 80)],
  },
  {
    case: 15,
    name: "two pods on different nodes with one address: nobody's peer, and still isolated where it is",
    cluster: {
      ghosts: { twin: twinOfB("right") },
      policies: {
        ...PEER_AND_ISOLATED,
        "other/r": egressOf("e", [{ to: [{ namespaceSelector: {} }] }]),
      },
    },
    packets: [
      ...dropped(["b"], ["a"], 80), ...dropped(["c", "wan"], ["b"], 80), ...open(["d"], ["a", "b"], 80),
      ...dropped(["e"], ["b"], 80), ...open(["e"], ["c"], 80),
    ],
  },
  {
    case: 15,
    name: "two pods with one address: a block means whoever has it",
    cluster: (plan) => ({
      ghosts: { twin: twinOfB("left") },
      policies: { "shop/p": ingressOf("a", [{ from: hostBlocks(plan, "b") }]) },
    }),
    packets: [...open(["b"], ["a"], 80), ...dropped(["c", "d"], ["a"], 80)],
  },
];

function twinOfB(node: NodeHost): PodDraft & { readonly node: NodeHost } {
  return {
    node, labels: { tier: "web" },
    addresses: (plan) => plan.families.map((family) => plan.address("b", family)),
  };
}
