import type { CaseStep, ClusterDraft, Host, PolicyDraft, StepRow } from "./case.ts";
import { hostBlocks } from "./ip-block.ts";
import { dropped, open } from "./packets.ts";
import { egressOf, ingressOf, only } from "./policies.ts";

const WEB_PEER = { podSelector: { matchLabels: { tier: "web" } } };
const webs = (ports: readonly object[]): PolicyDraft => ingressOf("a", [{ from: [WEB_PEER], ports }]);
const OTHERS_AND_D = ingressOf("a", [
  { from: [{ namespaceSelector: { matchLabels: { team: "other" } } }, { podSelector: only("d") }] },
]);
const SQL = [{ port: 5432 }];
const BOTH = [...SQL, { protocol: "UDP", port: 53 }];

/** Case 16: connections that are open when something changes. `b` shares the node of `a`, `d` does not. */
export const ESTABLISHED: readonly StepRow[] = [
  {
    case: 16,
    name: "an edit that takes a port away cuts its connections, TCP and UDP, and no others",
    steps: [
      { apply: { policies: { "shop/p": webs([...BOTH, { port: 80 }]) } } },
      ...flows(["b", "d"], "a"),
      ...flows(["d"], "b"),
      { connect: "http", from: "b", to: "a", protocol: "TCP", port: 80 },
      { apply: { policies: { "shop/p": webs([{ port: 80 }]) } } },
      ...asked(["b-a", "d-a"], "cut"),
      ...asked(["d-b"], "answered"),
      { ask: "http", expect: "answered" },
      { packets: [...dropped(["b", "d"], ["a"], 5432), ...open(["b", "d"], ["a"], 80)] },
    ],
  },
  {
    case: 16,
    name: "a peer that is relabelled loses its connections, the others keep theirs",
    steps: [
      { apply: { policies: { "shop/p": webs(BOTH) } } },
      ...flows(["b", "d"], "a"),
      { apply: { pods: { d: { labels: { pod: "d", tier: "none" } } }, policies: { "shop/p": webs(BOTH) } } },
      ...asked(["d-a"], "cut"),
      ...asked(["b-a"], "answered"),
    ],
  },
  {
    case: 16,
    name: "a namespace that is relabelled takes its pods out of the peers",
    steps: [
      { apply: { policies: { "shop/p": OTHERS_AND_D } } },
      ...flows(["c", "d", "e"], "a"),
      { apply: { namespaces: { other: { team: "renamed" } }, policies: { "shop/p": OTHERS_AND_D } } },
      ...asked(["c-a", "e-a"], "cut"),
      ...asked(["d-a"], "answered"),
    ],
  },
  {
    case: 16,
    name: "a block that is taken away cuts the world's connections",
    steps: [
      {
        apply: (plan) => ({
          policies: { "shop/p": ingressOf("a", [{ from: hostBlocks(plan, "wan") }, { from: [WEB_PEER] }]) },
        }),
      },
      ...flows(["wan", "b"], "a"),
      { apply: { policies: { "shop/p": ingressOf("a", [{ from: [WEB_PEER] }]) } } },
      ...asked(["wan-a"], "cut"),
      ...asked(["b-a"], "answered"),
    ],
  },
  {
    case: 16,
    name: "isolation that comes later cuts what was open before, in either direction",
    steps: [
      { apply: { policies: {} } },
      ...flows(["b", "d"], "a"),
      ...flows(["a"], "e"),
      { apply: { policies: { "shop/p": ingressOf("a", [{ from: [{ podSelector: only("b") }] }]) } } },
      ...asked(["d-a"], "cut"),
      ...asked(["b-a", "a-e"], "answered"),
      {
        apply: {
          policies: {
            "shop/p": ingressOf("a", [{ from: [{ podSelector: only("b") }] }]),
            "shop/q": egressOf("a", []),
          },
        },
      },
      ...asked(["a-e"], "cut"),
      ...asked(["b-a"], "answered"),
    ],
  },
  {
    case: 16,
    name: "egress that is narrowed cuts the client's connections",
    steps: [
      { apply: { policies: { "shop/q": egressOf("b", [{ to: [{ podSelector: {} }] }]) } } },
      ...flows(["b"], "a"),
      ...flows(["b"], "d"),
      { apply: { policies: { "shop/q": egressOf("b", [{ to: [{ podSelector: only("d") }] }]) } } },
      ...asked(["b-a"], "cut"),
      ...asked(["b-d"], "answered"),
    ],
  },
  {
    case: 16,
    name: "what widens, or is about others, disturbs no connection",
    steps: [
      { apply: { policies: { "shop/p": webs(BOTH), "shop/q": ingressOf("e", []) } } },
      ...flows(["b", "d"], "a"),
      ...widenings().flatMap((wider): readonly CaseStep[] => [
        { apply: wider }, ...asked(["b-a", "d-a"], "answered"), { packets: dropped(["wan"], ["a"], 5432) },
      ]),
      { apply: { policies: {} } },
      ...asked(["b-a", "d-a"], "answered"),
      { packets: open(["wan"], ["a", "e"], 5432) },
    ],
  },
  {
    case: 16,
    name: "one change that lets one peer in and another out",
    steps: [
      { apply: { policies: { "shop/p": ingressOf("a", [{ from: [{ podSelector: only("b") }] }]) } } },
      ...flows(["b"], "a"),
      { packets: dropped(["d"], ["a"], 5432) },
      { apply: { policies: { "shop/p": ingressOf("a", [{ from: [{ podSelector: only("d") }] }]) } } },
      ...asked(["b-a"], "cut"),
      ...flows(["d"], "a"),
      ...asked(["d-a"], "answered"),
      { packets: dropped(["b"], ["a"], 5432) },
    ],
  },
];

/** Each allows all that `shop/p` allowed for `a`, and does not touch `b` and `d`. */
function widenings(): readonly ClusterDraft[] {
  const closed = ingressOf("e", []);
  return [
    { policies: { "shop/p": webs([...BOTH, { port: 80 }]), "shop/q": closed } },
    { policies: { "shop/p": webs([...BOTH]), "shop/more": webs([{ port: 81 }]), "shop/q": closed } },
    { policies: { "shop/renamed": webs([...BOTH]), "shop/q": closed, "other/q": ingressOf("c", []) } },
    { pods: { b: { labels: { pod: "b", tier: "web", more: "x" } } }, policies: { "shop/p": webs([...BOTH]) } },
  ];
}

/** A TCP and a UDP connection from each client, called `<client>-<server>` with the protocol behind it. */
function flows(clients: readonly Host[], server: Host): readonly CaseStep[] {
  return clients.flatMap((from): readonly CaseStep[] => [
    { connect: `${from}-${server}-tcp`, from, to: server, protocol: "TCP", port: 5432 },
    { connect: `${from}-${server}-udp`, from, to: server, protocol: "UDP", port: 53 },
  ]);
}

function asked(names: readonly string[], expect: "answered" | "cut"): readonly CaseStep[] {
  return names.flatMap((name) => ["tcp", "udp"].map((protocol) => ({ ask: `${name}-${protocol}`, expect })));
}
