import type { CaseRow } from "./case.ts";
import { dropped, open } from "./packets.ts";
import { egressOf, ingressOf, only } from "./policies.ts";

const WEB = { matchLabels: { tier: "web" } };
const OTHER = { matchLabels: { team: "other" } };

/** Case 2: who is meant by a peer. `b` and `d` are webs of the policy's namespace, `c` and `e` of another. */
export const PEERS: readonly CaseRow[] = [
  {
    case: 2,
    name: "podSelector alone looks in the policy's own namespace",
    cluster: { policies: { "shop/p": ingressOf("a", [{ from: [{ podSelector: WEB }] }]) } },
    packets: [...open(["b", "d"], ["a"], 80), ...dropped(["c", "e", "wan"], ["a"], 80)],
  },
  {
    case: 2,
    name: "namespaceSelector alone means all pods of those namespaces",
    cluster: { policies: { "shop/p": ingressOf("a", [{ from: [{ namespaceSelector: OTHER }] }]) } },
    packets: [...open(["c", "e"], ["a"], 80), ...dropped(["b", "d", "wan"], ["a"], 80)],
  },
  {
    case: 2,
    name: "both selectors in one item are AND",
    cluster: {
      policies: { "shop/p": ingressOf("a", [{ from: [{ namespaceSelector: OTHER, podSelector: only("e") }] }]) },
    },
    packets: [...open(["e"], ["a"], 80), ...dropped(["b", "c", "d", "wan"], ["a"], 80)],
  },
  {
    case: 2,
    name: "the same selectors in two items are OR, and podSelector falls back to the own namespace",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ from: [{ namespaceSelector: OTHER }, { podSelector: only("d") }] }]),
      },
    },
    packets: [...open(["c", "d", "e"], ["a"], 80), ...dropped(["b", "wan"], ["a"], 80)],
  },
  {
    case: 2,
    name: "egress: podSelector alone, AND, OR",
    cluster: {
      policies: {
        "shop/p": egressOf("a", [
          { to: [{ podSelector: only("b") }], ports: [{ port: 80 }] },
          { to: [{ namespaceSelector: OTHER, podSelector: only("e") }], ports: [{ port: 81 }] },
          { to: [{ namespaceSelector: OTHER }, { podSelector: only("d") }], ports: [{ port: 82 }] },
        ]),
      },
    },
    packets: [
      ...open(["a"], ["b"], 80), ...dropped(["a"], ["c", "d", "e", "wan"], 80),
      ...open(["a"], ["e"], 81), ...dropped(["a"], ["b", "c", "d", "wan"], 81),
      ...open(["a"], ["c", "d", "e"], 82), ...dropped(["a"], ["b", "wan"], 82),
    ],
  },
  {
    case: 2,
    name: "empty selectors: all pods of the namespace, all pods of all namespaces; never the world",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ podSelector: {} }], ports: [{ port: 80 }] },
          { from: [{ namespaceSelector: {} }], ports: [{ port: 81 }] },
          { from: [{ namespaceSelector: {}, podSelector: {} }], ports: [{ port: 82 }] },
        ]),
      },
    },
    packets: [
      ...open(["b", "d"], ["a"], 80), ...dropped(["c", "e", "wan"], ["a"], 80),
      ...open(["b", "c", "d", "e"], ["a"], 81, 82), ...dropped(["wan"], ["a"], 81, 82),
    ],
  },
  {
    case: 2,
    name: "expressions: In and Exists need the label, NotIn and DoesNotExist do not",
    cluster: {
      pods: {
        b: { labels: { pod: "b", role: "x" } },
        c: { namespace: "shop", labels: { pod: "c", role: "y" } },
        e: { namespace: "shop", labels: { pod: "e" } },
      },
      policies: {
        "shop/p": ingressOf("a", [
          { from: [expression("role", "In", ["x", "z"])], ports: [{ port: 80 }] },
          { from: [expression("role", "NotIn", ["x", "z"])], ports: [{ port: 81 }] },
          { from: [expression("role", "Exists")], ports: [{ port: 82 }] },
          { from: [expression("role", "DoesNotExist")], ports: [{ port: 5432 }] },
        ]),
      },
    },
    packets: [
      ...open(["b"], ["a"], 80), ...dropped(["c", "d", "e"], ["a"], 80),
      ...open(["c", "d", "e"], ["a"], 81), ...dropped(["b"], ["a"], 81),
      ...open(["b", "c"], ["a"], 82), ...dropped(["d", "e"], ["a"], 82),
      ...open(["d", "e"], ["a"], 5432), ...dropped(["b", "c"], ["a"], 5432),
    ],
  },
  {
    case: 2,
    name: "labels and expressions of one selector are AND",
    cluster: {
      pods: { b: { labels: { pod: "b", tier: "web", canary: "yes" } } },
      policies: {
        "shop/p": ingressOf("a", [{
          from: [{
            podSelector: {
              ...WEB, matchExpressions: [{ key: "canary", operator: "DoesNotExist" }],
            },
          }],
        }]),
      },
    },
    packets: [...open(["d"], ["a"], 80), ...dropped(["b", "c"], ["a"], 80)],
  },
  {
    case: 2,
    name: "who is isolated is selected by expressions too",
    cluster: {
      policies: {
        "shop/p": {
          spec: {
            podSelector: { matchExpressions: [{ key: "pod", operator: "NotIn", values: ["b"] }] },
            policyTypes: ["Ingress"],
          },
        },
      },
    },
    packets: [...dropped(["c", "e"], ["a", "d"], 80), ...open(["c", "e", "d"], ["b"], 80)],
  },
  {
    case: 2,
    name: "a namespace is selected by its labels as they are: its own name among them",
    cluster: {
      namespaces: { other: { team: "renamed" } },
      policies: {
        "shop/p": ingressOf("a", [
          { from: [{ namespaceSelector: OTHER }], ports: [{ port: 80 }] },
          {
            from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "other" } } }],
            ports: [{ port: 81 }],
          },
          {
            from: [{ namespaceSelector: { matchExpressions: [{ key: "team", operator: "NotIn", values: ["shop"] }] } }],
            ports: [{ port: 82 }],
          },
        ]),
      },
    },
    packets: [
      ...dropped(["b", "c", "d", "e"], ["a"], 80),
      ...open(["c", "e"], ["a"], 81, 82), ...dropped(["b", "d"], ["a"], 81, 82),
    ],
  },
  {
    case: 2,
    name: "a selector that nothing meets matches nothing",
    cluster: {
      policies: {
        "shop/p": ingressOf("a", [{ from: [{ podSelector: { matchLabels: { tier: "none" } } }] }]),
        "shop/q": egressOf("b", [{ to: [{ namespaceSelector: { matchLabels: { team: "none" } } }] }]),
      },
    },
    packets: [...dropped(["b", "c", "d", "e", "wan"], ["a"], 80), ...dropped(["b"], ["c", "d", "wan"], 80),
      ...open(["c", "d"], ["b"], 80)],
  },
  {
    case: 2,
    name: "a policy of one namespace says nothing about pods with the same labels in another",
    cluster: { policies: { "other/p": { spec: { podSelector: WEB, policyTypes: ["Ingress"] } } } },
    packets: [...dropped(["a", "d"], ["c", "e"], 80), ...open(["a", "c", "e"], ["b", "d"], 80)],
  },
  {
    case: 2,
    name: "labels that every object seems to have",
    cluster: {
      pods: { d: { labels: { pod: "d", constructor: "x" } } },
      policies: {
        "shop/p": ingressOf("a", [
          { from: [expression("constructor", "Exists")], ports: [{ port: 80 }] },
          { from: [expression("toString", "DoesNotExist")], ports: [{ port: 81 }] },
        ]),
      },
    },
    packets: [...open(["d"], ["a"], 80), ...dropped(["b"], ["a"], 80), ...open(["b", "d"], ["a"], 81)],
  },
];

function expression(key: string, operator: string, values?: readonly string[]): object {
  return { podSelector: { matchExpressions: [{ key, operator, ...(values && { values }) }] } };
}
