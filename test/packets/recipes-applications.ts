import type { Scene } from "./recipes-scene.ts";

const dns = { on: "c", namespace: "kube-system", labels: { "k8s-app": "kube-dns" } } as const;
const world = { on: "wan" } as const;

const PUBLIC_API: readonly Scene[] = [{
  name: "everyone on 80, scrapers on 81, payments the only way out",
  namespaces: {
    api: { "tierwall.io/segment": "public-api" },
    watch: { purpose: "observability" },
    bank: { purpose: "payments" },
    lab: {},
  },
  cast: {
    api: { on: "a", namespace: "api", labels: { tier: "api" } },
    neighbour: { on: "b", namespace: "api" },
    scraper: { on: "c", namespace: "watch" },
    payments: { on: "d", namespace: "bank" },
    lab: { on: "e", namespace: "lab" },
    world,
  },
  ports: ["80", "81", "443", "53/udp"],
  matrix: `
    from       api    neighbour  scraper  payments  lab  world
    api        .      -          -        443       -    -
    neighbour  -      .          -        -         -    -
    scraper    80,81  -          .        all       all  all
    payments   80     -          all      .         all  all
    lab        80     -          all      all       .    all
    world      80     -          all      all       all  .
  `,
}];

const INTERNAL_SERVICE: readonly Scene[] = [{
  name: "internal calls mysql and payroll, and all may look up names",
  namespaces: { office: { "tierwall.io/segment": "back-office" } },
  cast: {
    internal: { on: "a", namespace: "office", labels: { app: "internal" } },
    mysql: { on: "d", namespace: "office", labels: { app: "mysql" } },
    payroll: { on: "b", namespace: "office", labels: { app: "payroll" } },
    // No tier's pod.
    other: { on: "e", namespace: "office", labels: { app: "other" } },
    dns,
    world,
  },
  ports: ["3306", "8080", "53", "53/udp"],
  matrix: `
    from      internal  mysql  payroll  other  dns        world
    internal  .         3306   8080     -      53,53/udp  -
    mysql     -         .      -        -      53,53/udp  -
    payroll   -         -      .        -      53,53/udp  -
    other     -         -      -        .      53,53/udp  -
    dns       -         -      -        -      .          all
    world     -         -      -        -      all        .
  `,
}];

const bookings = {
  namespaces: {
    "bookings-web": { "tierwall.io/segment": "bookings", "holds": "web" },
    "bookings-api": { "tierwall.io/segment": "bookings", "holds": "api" },
    "bookings-data": { "tierwall.io/segment": "bookings", "holds": "data" },
    "lab": { holds: "api" },
  },
  cast: {
    web: { on: "a", namespace: "bookings-web", labels: { tier: "web" } },
    api: { on: "d", namespace: "bookings-api", labels: { tier: "api" } },
    db: { on: "b", namespace: "bookings-data", labels: { tier: "db" } },
    world,
  },
  ports: ["8080", "5432", "53/udp"],
} as const;

const TIERS_ACROSS_NAMESPACES: readonly Scene[] = [
  {
    ...bookings,
    name: "tiers meet over namespaces, and an outsider's label is nothing",
    cast: {
      ...bookings.cast,
      // A db by its label, in a namespace of the segment where no db lives.
      decoy: { on: "c", namespace: "bookings-web", labels: { tier: "db" } },
      // An api by its label, in a namespace outside the segment.
      lab: { on: "e", namespace: "lab", labels: { tier: "api" } },
    },
    matrix: `
      from   web   api   db    decoy  lab  world
      web    .     8080  -     -      -    -
      api    -     .     5432  -      -    -
      db     -     -     .     -      -    -
      decoy  -     -     -     .      -    -
      lab    8080  -     -     -      .    all
      world  8080  -     -     -      all  .
    `,
  },
  {
    ...bookings,
    name: "a label in the wrong namespace of the segment is no tier",
    cast: {
      ...bookings.cast,
      // Outside the two namespaces where web and api live.
      "no-web": { on: "c", namespace: "bookings-data", labels: { tier: "web" } },
      "no-api": { on: "e", namespace: "bookings-data", labels: { tier: "api" } },
    },
    matrix: `
      from    web   api   db    no-web  no-api  world
      web     .     8080  -     -       -       -
      api     -     .     5432  -       -       -
      db      -     -     .     -       -       -
      no-web  -     -     -     .       -       -
      no-api  -     -     -     -       .       -
      world   8080  -     -     -       -       .
    `,
  },
];

const INGRESS_CONTROLLER: readonly Scene[] = [{
  name: "the controller is the only way to the web",
  namespaces: { site: { "tierwall.io/segment": "site" }, "ingress-nginx": {}, lab: {} },
  cast: {
    controller: { on: "a", namespace: "ingress-nginx", labels: { "app.kubernetes.io/component": "controller" } },
    webhook: { on: "e", namespace: "ingress-nginx", labels: { "app.kubernetes.io/component": "admission-webhook" } },
    // The controller's label in another namespace.
    lab: { on: "c", namespace: "lab", labels: { "app.kubernetes.io/component": "controller" } },
    web: { on: "d", namespace: "site", labels: { tier: "web" } },
    job: { on: "b", namespace: "site" },
    world,
  },
  ports: ["8080", "80", "icmp"],
  matrix: `
    from        controller  webhook  lab  web   job  world
    controller  .           all      all  8080  -    all
    webhook     all         .        all  -     -    all
    lab         all         all      .    -     -    all
    web         -           -        -    .     -    -
    job         -           -        -    -     .    -
    world       all         all      all  -     -    .
  `,
}];

const API_SERVER: readonly Scene[] = [{
  name: "the controller reaches the API server, the worker does not",
  namespaces: { automation: { "tierwall.io/segment": "automation" }, lab: {} },
  cast: {
    controller: { on: "a", namespace: "automation", labels: { tier: "controller" } },
    worker: { on: "b", namespace: "automation", labels: { tier: "worker" } },
    dns,
    lab: { on: "d", namespace: "lab" },
    apiserver: { on: "right" },
    world,
  },
  ports: ["6443", "443", "80", "53/udp"],
  matrix: `
    from        controller  worker  dns     lab  apiserver  world
    controller  .           -       53/udp  -    6443       -
    worker      -           .       53/udp  -    -          -
    dns         -           -       .       all  all        all
    lab         -           -       all     .    all        all
    apiserver   -           -       all     all  .          .
    world       -           -       all     all  .          .
  `,
}];

const DEV_AND_PROD: readonly Scene[] = [{
  name: "each namespace by itself",
  namespaces: { "ledger-dev": { "tierwall.io/segment": "ledger" }, "ledger-prod": { "tierwall.io/segment": "ledger" } },
  cast: {
    "dev-web": { on: "a", namespace: "ledger-dev", labels: { tier: "web" } },
    "dev-api": { on: "d", namespace: "ledger-dev", labels: { tier: "api" } },
    "prod-web": { on: "e", namespace: "ledger-prod", labels: { tier: "web" } },
    "prod-api": { on: "b", namespace: "ledger-prod", labels: { tier: "api" } },
    dns,
    world,
  },
  ports: ["8080", "80", "53/udp"],
  matrix: `
    from      dev-web  dev-api  prod-web  prod-api  dns     world
    dev-web   .        8080     -         -         53/udp  -
    dev-api   -        .        -         -         53/udp  -
    prod-web  -        -        .         8080      53/udp  -
    prod-api  -        -        -         .         53/udp  -
    dns       -        -        -         -         .       all
    world     -        -        -         -         all     .
  `,
}];

/** Recipes for whole applications. By the name of the file. */
export const APPLICATIONS: Readonly<Record<string, readonly Scene[]>> = {
  "public-api": PUBLIC_API,
  "internal-service": INTERNAL_SERVICE,
  "tiers-across-namespaces": TIERS_ACROSS_NAMESPACES,
  "ingress-controller": INGRESS_CONTROLLER,
  "api-server": API_SERVER,
  "dev-and-prod": DEV_AND_PROD,
};
