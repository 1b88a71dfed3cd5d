import type { Scene } from "./recipes-scene.ts";

const dns = { on: "c", namespace: "kube-system", labels: { "k8s-app": "kube-dns" } } as const;
const world = { on: "wan" } as const;

const billing = {
  namespaces: { billing: { environment: "production" }, stock: { environment: "production" }, lab: {} },
  cast: {
    invoice: { on: "a", namespace: "billing", labels: { app: "invoice" } },
    ledger: { on: "b", namespace: "billing", labels: { app: "ledger" } },
    stock: { on: "d", namespace: "stock" },
    lab: { on: "e", namespace: "lab" },
    dns,
    // Where invoice, ledger and dns run.
    left: { on: "left" },
    world,
  },
} as const;

const DEFAULT_DENY: readonly Scene[] = [
  {
    name: "nothing passes but DNS and a node's own health checks",
    ...billing,
    ports: ["80", "53", "53/udp", "5353/udp", "icmp"],
    matrix: `
      from     invoice  ledger  stock  lab  dns                 left  world
      invoice  .        -       -      -    53,53/udp,5353/udp  all   -
      ledger   -        .       -      -    53,53/udp,5353/udp  all   -
      stock    -        -       .      -    53,53/udp,5353/udp  -     -
      lab      -        -       -      .    all                 all   all
      dns      -        -       -      all  .                   all   all
      left     all      all     -      all  all                 .     .
      world    -        -       -      all  all                 .     .
    `,
  },
  {
    name: "a team's own NetworkPolicies open a door, where both ends say yes",
    ...billing,
    besides: {
      "billing/ledger-in": {
        podSelector: { matchLabels: { app: "ledger" } },
        policyTypes: ["Ingress"],
        ingress: [{ ports: [{ protocol: "TCP", port: 80 }] }],
      },
      "billing/invoice-out": {
        podSelector: { matchLabels: { app: "invoice" } },
        policyTypes: ["Egress"],
        egress: [{ to: [{ podSelector: { matchLabels: { app: "ledger" } } }] }],
      },
    },
    ports: ["80", "81"],
    matrix: `
      from     invoice  ledger  stock  lab  dns  left  world
      invoice  .        80      -      -    -    all   -
      ledger   -        .       -      -    -    all   -
      stock    -        -       .      -    -    -     -
      lab      -        80      -      .    all  all   all
      dns      -        80      -      all  .    all   all
      left     all      all     -      all  all  .     .
      world    -        80      -      all  all  .     .
    `,
  },
];

const DATABASE: readonly Scene[] = [{
  name: "the db is closed but for the backend on 5432, the rest is as it was",
  namespaces: { orders: { "tierwall.io/segment": "orders" }, lab: {} },
  cast: {
    backend: { on: "a", namespace: "orders", labels: { tier: "backend" } },
    web: { on: "b", namespace: "orders", labels: { tier: "web" } },
    db: { on: "d", namespace: "orders", labels: { tier: "db" } },
    // The same label in another namespace.
    lab: { on: "e", namespace: "lab", labels: { tier: "backend" } },
    world,
  },
  ports: ["5432", "80", "53/udp", "icmp"],
  matrix: `
    from     backend  web  db    lab  world
    backend  .        all  5432  all  all
    web      all      .    -     all  all
    db       all      all  .     all  all
    lab      all      all  -     .    all
    world    all      all  -     all  .
  `,
}];

const MONITORING: readonly Scene[] = [{
  name: "Prometheus reaches each pod's own metrics port, and the pods each other",
  namespaces: { cart: { monitored: "true" }, monitoring: {} },
  cast: {
    api: { on: "a", namespace: "cart", ports: { http: 80, metrics: 81 } },
    worker: { on: "d", namespace: "cart", ports: { metrics: 82 } },
    plain: { on: "b", namespace: "cart" },
    prometheus: { on: "e", namespace: "monitoring", labels: { app: "prometheus" } },
    grafana: { on: "c", namespace: "monitoring", labels: { app: "grafana" } },
    world,
  },
  ports: ["80", "81", "82", "53/udp", "icmp"],
  matrix: `
    from        api  worker  plain  prometheus  grafana  world
    api         .    all     all    -           -        -
    worker      all  .       all    -           -        -
    plain       all  all     .      -           -        -
    prometheus  81   82      -      .           all      all
    grafana     -    -       -      all         .        all
    world       -    -       -      all         all      .
  `,
}];

const IP_RANGE: readonly Scene[] = [{
  name: "the office is let in, its guests are not",
  namespaces: { console: { "tierwall.io/segment": "console" }, batch: {} },
  cast: {
    console: { on: "a", namespace: "console", labels: { tier: "console" } },
    // A pod that happens to have an address of the range.
    batch: { on: "b", namespace: "batch" },
    office: { on: "c" },
    neighbour: { on: "d", namespace: "console" },
    guest: { on: "e" },
    world,
  },
  ports: ["443", "442", "444", "80", "53/udp"],
  matrix: `
    from       console  batch  office  neighbour  guest  world
    console    .        -      -       -          -      -
    batch      443      .      all     -          all    all
    office     443      all    .       -          .      .
    neighbour  -        -      -       .          -      -
    guest      -        all    .       -          .      .
    world      -        all    .       -          .      .
  `,
}];

const shop = (suspect: Readonly<Record<string, string>>) => ({
  namespaces: { store: { "tierwall.io/segment": "store" } },
  cast: {
    web: { on: "a", namespace: "store", labels: { tier: "web" } },
    db: { on: "b", namespace: "store", labels: { tier: "db" } },
    dns,
    suspect: { on: "d", namespace: "store", labels: { tier: "web", ...suspect } },
    // Where the suspect runs.
    right: { on: "right" },
    world,
  },
  ports: ["80", "5432", "53/udp", "icmp"],
} as const);

const QUARANTINE: readonly Scene[] = [
  {
    name: "without the label a pod is in its tier",
    ...shop({}),
    matrix: `
      from     web  db    dns     suspect  right  world
      web      .    5432  53/udp  -        -      -
      db       -    .     53/udp  -        -      -
      dns      80   -     .       80       all    all
      suspect  -    5432  53/udp  .        all    -
      right    80   -     all     all      .      .
      world    80   -     all     80       .      .
    `,
  },
  {
    name: "with the label it reaches nobody, and only its own node reaches it",
    ...shop({ "tierwall.io/quarantine": "under-investigation" }),
    matrix: `
      from     web  db    dns     suspect  right  world
      web      .    5432  53/udp  -        -      -
      db       -    .     53/udp  -        -      -
      dns      80   -     .       -        all    all
      suspect  -    -     -       .        all    -
      right    80   -     all     all      .      .
      world    80   -     all     -        .      .
    `,
  },
];

const EGRESS_ONE_ADDRESS: readonly Scene[] = [{
  name: "the exporter calls the bank and nobody else",
  namespaces: { export: { "tierwall.io/segment": "export" }, lab: {} },
  cast: {
    exporter: { on: "a", namespace: "export", labels: { tier: "exporter" } },
    other: { on: "b", namespace: "export", labels: { tier: "other" } },
    dns,
    lab: { on: "d", namespace: "lab" },
    office: { on: "e" },
    bank: { on: "wan" },
  },
  ports: ["443", "80", "53/udp"],
  matrix: `
    from      exporter  other  dns     lab  office  bank
    exporter  .         -      53/udp  -    -       443
    other     all       .      all     all  all     all
    dns       all       all    .       all  all     all
    lab       all       all    all     .    all     all
    office    all       all    all     all  .       .
    bank      all       all    all     all  .       .
  `,
}];

const PORT_RANGE: readonly Scene[] = [{
  name: "the range with both its ends and nothing beside it",
  namespaces: { game: { "tierwall.io/segment": "game" }, lab: {} },
  cast: {
    server: { on: "a", namespace: "game", labels: { tier: "server" } },
    admin: { on: "d", namespace: "game", labels: { tier: "admin" } },
    other: { on: "b", namespace: "game" },
    lab: { on: "e", namespace: "lab" },
    player: world,
  },
  ports: ["31999/udp", "32000/udp", "32400/udp", "32768/udp", "32769/udp", "32400", "8080", "80"],
  matrix: `
    from    server                         admin  other  lab  player
    server  .                              -      -      -    -
    admin   8080                           .      -      -    -
    other   -                              -      .      -    -
    lab     32000/udp,32400/udp,32768/udp  -      -      .    all
    player  32000/udp,32400/udp,32768/udp  -      -      all  .
  `,
}];

/** Recipes that close or open one thing in namespaces as they are. By the name of the file. */
export const FIRST_STEPS: Readonly<Record<string, readonly Scene[]>> = {
  "default-deny": DEFAULT_DENY,
  "database": DATABASE,
  "monitoring": MONITORING,
  "ip-range": IP_RANGE,
  "quarantine": QUARANTINE,
  "egress-one-address": EGRESS_ONE_ADDRESS,
  "port-range": PORT_RANGE,
};
