import type { LocalPod } from "../../operator/api/node-state.ts";
import type { Outcome } from "./enforcer-prober.ts";
import type { PodDraft, StateDraft } from "./enforcer-state.ts";

/** Hosts of the scratch network: `web`, `db` and `job` are local pods, `remote` a pod elsewhere, `wan` the world. */
export const HOSTS = {
  web: ["10.77.0.2"],
  db: ["10.77.0.3"],
  job: ["10.77.0.40"],
  remote: ["10.77.9.9"],
  wan: ["192.0.2.10", "198.51.100.7"],
} as const;

export const TCP_PORTS: readonly number[] = [80, 81, 82, 5432];
export const UDP_PORTS: readonly number[] = [53, 54];

export interface PacketCase {
  readonly name: string;
  readonly state: StateDraft;
  /** From host, protocol, to address, port. */
  readonly probes: readonly (readonly [keyof typeof HOSTS, "TCP" | "UDP", string, number, Outcome])[];
}

const [WEB] = HOSTS.web;
const [DB] = HOSTS.db;
const [JOB] = HOSTS.job;
const [REMOTE] = HOSTS.remote;
const [WAN, WAN2] = HOSTS.wan;

const SQL: LocalPod["ports"] = [{ name: "sql", protocol: "TCP", port: 5432 }];

/** The three local pods; what is given of one overrides. */
export function pods(drafts: Readonly<Record<string, Partial<PodDraft>>>): Readonly<Record<string, PodDraft>> {
  const addresses = { web: WEB, db: DB, job: JOB };
  return Object.fromEntries(
    Object.entries(addresses).map(([name, address]) => [name, { address, ...drafts[name] }]),
  );
}

export const CASES: readonly PacketCase[] = [
  {
    name: "no policies: everything is open",
    state: { pods: pods({}) },
    probes: [
      ["web", "TCP", DB, 80, "open"],
      ["web", "UDP", DB, 53, "open"],
      ["db", "TCP", WAN, 80, "open"],
      ["wan", "TCP", DB, 80, "open"],
      ["web", "TCP", DB, 9, "refused"],
    ],
  },
  {
    name: "default deny of ingress leaves egress and others open",
    state: { pods: pods({ db: { ingress: ["deny"] } }), policies: { deny: {} } },
    probes: [
      ["web", "TCP", DB, 80, "dropped"],
      ["web", "UDP", DB, 53, "dropped"],
      ["remote", "TCP", DB, 80, "dropped"],
      ["db", "TCP", WEB, 80, "open"],
      ["db", "UDP", WAN, 53, "open"],
      ["job", "TCP", WEB, 80, "open"],
    ],
  },
  {
    name: "default deny of egress leaves ingress open",
    state: { pods: pods({ db: { egress: ["deny"] } }), policies: { deny: {} } },
    probes: [
      ["db", "TCP", WEB, 80, "dropped"],
      ["db", "UDP", WAN, 53, "dropped"],
      ["web", "TCP", DB, 80, "open"],
      ["remote", "UDP", DB, 53, "open"],
    ],
  },
  {
    name: "an allowed tier, one port",
    state: {
      pods: pods({ db: { ingress: ["db"] } }),
      policies: { db: { ingress: [{ peers: ["webs"], ports: [{ protocol: "TCP", port: 5432 }] }] } },
      peers: { webs: [WEB, REMOTE] },
    },
    probes: [
      ["web", "TCP", DB, 5432, "open"],
      ["remote", "TCP", DB, 5432, "open"],
      ["job", "TCP", DB, 5432, "dropped"],
      ["web", "TCP", DB, 80, "dropped"],
      ["web", "UDP", DB, 53, "dropped"],
    ],
  },
  {
    name: "both directions must allow: an ingress rule satisfies no egress check",
    state: {
      pods: pods({ web: { ingress: ["both"], egress: ["both"] }, db: { ingress: ["both"], egress: ["both"] } }),
      policies: {
        both: {
          ingress: [{ peers: ["all"], ports: [{ protocol: "TCP", port: 80 }, { protocol: "TCP", port: 81 }] }],
          egress: [{ peers: ["all"], ports: [{ protocol: "TCP", port: 81 }, { protocol: "TCP", port: 82 }] }],
        },
      },
      peers: { all: [WEB, DB] },
    },
    probes: [
      ["web", "TCP", DB, 80, "dropped"],
      ["web", "TCP", DB, 81, "open"],
      ["web", "TCP", DB, 82, "dropped"],
      ["job", "TCP", DB, 81, "dropped"],
    ],
  },
  {
    name: "policies on one pod are OR-ed, a peer may have several ports",
    state: {
      pods: pods({ db: { ingress: ["one", "two"] } }),
      policies: {
        one: { ingress: [{ peers: ["web"], ports: [{ protocol: "TCP", port: 80 }] }] },
        two: { ingress: [{ peers: ["job"], ports: [{ protocol: "TCP", port: 80 }, { protocol: "UDP", port: 53 }] }] },
      },
      peers: { web: [WEB], job: [JOB] },
    },
    probes: [
      ["web", "TCP", DB, 80, "open"],
      ["job", "TCP", DB, 80, "open"],
      ["job", "UDP", DB, 53, "open"],
      ["web", "UDP", DB, 53, "dropped"],
      ["remote", "TCP", DB, 80, "dropped"],
    ],
  },
  {
    name: "ranges, whole protocols, every range of ports",
    state: {
      pods: pods({ db: { ingress: ["ranges"] }, web: { ingress: ["udp"] }, job: { ingress: ["wide"] } }),
      policies: {
        ranges: { ingress: [{ peers: "any", ports: [{ protocol: "TCP", port: 80, endPort: 81 }] }] },
        udp: { ingress: [{ peers: "any", ports: [{ protocol: "UDP" }] }] },
        wide: { ingress: [{ peers: "any", ports: [{ protocol: "TCP", port: 1, endPort: 65535 }] }] },
      },
    },
    probes: [
      ["web", "TCP", DB, 80, "open"],
      ["web", "TCP", DB, 81, "open"],
      ["web", "TCP", DB, 82, "dropped"],
      ["web", "UDP", DB, 53, "dropped"],
      ["db", "UDP", WEB, 53, "open"],
      ["db", "UDP", WEB, 54, "open"],
      ["db", "TCP", WEB, 80, "dropped"],
      ["db", "TCP", JOB, 5432, "open"],
      ["db", "UDP", JOB, 53, "dropped"],
    ],
  },
  {
    name: "more ports than one multiport match holds",
    state: {
      pods: pods({ db: { ingress: ["many"] } }),
      policies: {
        many: {
          ingress: [{ peers: ["web"], ports: [...ports(1000, 20), { protocol: "TCP" as const, port: 5432 }] }],
        },
      },
      peers: { web: [WEB] },
    },
    probes: [
      ["web", "TCP", DB, 5432, "open"],
      ["web", "TCP", DB, 1019, "refused"],
      ["web", "TCP", DB, 80, "dropped"],
    ],
  },
  {
    name: "SCTP opens no TCP and still isolates",
    state: {
      pods: pods({ db: { ingress: ["sctp"] } }),
      policies: {
        sctp: { ingress: [{ peers: "any", ports: [{ protocol: "SCTP", port: 80 }, { protocol: "SCTP" }] }] },
      },
    },
    probes: [["web", "TCP", DB, 80, "dropped"], ["web", "UDP", DB, 53, "dropped"]],
  },
  {
    name: "named ports are looked up on each target pod, with their protocol",
    state: {
      pods: pods({
        db: { ingress: ["named"], ports: SQL },
        web: { ingress: ["named"], ports: [{ name: "sql", protocol: "TCP", port: 80 }] },
        job: { ingress: ["named"], ports: [{ name: "sql", protocol: "UDP", port: 53 }] },
      }),
      policies: { named: { ingress: [{ peers: ["all"], ports: [{ protocol: "TCP", name: "sql" }] }] } },
      peers: { all: [WEB, DB, JOB] },
    },
    probes: [
      ["web", "TCP", DB, 5432, "open"],
      ["web", "TCP", DB, 80, "dropped"],
      ["db", "TCP", WEB, 80, "open"],
      ["db", "TCP", WEB, 5432, "dropped"],
      ["db", "TCP", JOB, 53, "dropped"],
      ["db", "UDP", JOB, 53, "dropped"],
      ["remote", "TCP", DB, 5432, "dropped"],
    ],
  },
  {
    name: "egress to named ports: address, protocol and port together",
    state: {
      pods: pods({ web: { egress: ["named"] } }),
      policies: { named: { egress: [{ peers: [], ports: [], endpoints: ["sql"] }] } },
      peers: { sql: [`${DB},tcp:5432`, `${REMOTE},tcp:80`, `${JOB},udp:53`] },
    },
    probes: [
      ["web", "TCP", DB, 5432, "open"],
      ["web", "TCP", REMOTE, 80, "open"],
      ["web", "TCP", REMOTE, 5432, "dropped"],
      ["web", "UDP", JOB, 53, "open"],
      ["web", "TCP", JOB, 53, "dropped"],
      ["web", "TCP", WAN, 5432, "dropped"],
    ],
  },
  {
    name: "an exception belongs to its own block",
    state: {
      pods: pods({ db: { ingress: ["blocks"] } }),
      policies: {
        blocks: {
          ingress: [
            { peers: [{ cidr: "10.77.0.0/16", except: ["10.77.0.0/24"] }], ports: [{ protocol: "TCP", port: 80 }] },
            { peers: [{ cidr: "10.77.0.0/29" }], ports: [{ protocol: "TCP", port: 80 }] },
            { peers: [{ cidr: "192.0.2.77/24", except: ["192.0.2.10/32"] }] },
          ],
        },
      },
    },
    probes: [
      ["remote", "TCP", DB, 80, "open"],
      ["web", "TCP", DB, 80, "open"],
      ["job", "TCP", DB, 80, "dropped"],
      ["remote", "TCP", DB, 81, "dropped"],
      ["wan", "TCP", DB, 80, "dropped"],
    ],
  },
  {
    name: "/0 is everybody, with an exception everybody else",
    state: {
      pods: pods({ db: { egress: ["zero"] }, web: { egress: ["half"] }, job: { egress: ["most"] } }),
      policies: {
        zero: { egress: [{ peers: [{ cidr: "0.0.0.0/0" }], ports: [{ protocol: "TCP", port: 80 }] }] },
        half: { egress: [{ peers: [{ cidr: "0.0.0.0/0", except: ["0.0.0.0/1"] }] }] },
        most: { egress: [{ peers: [{ cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "192.0.2.0/24"] }] }] },
      },
    },
    probes: [
      ["db", "TCP", WAN, 80, "open"],
      ["db", "TCP", WEB, 80, "open"],
      ["db", "TCP", WAN, 81, "dropped"],
      ["web", "TCP", WAN, 81, "open"],
      ["web", "TCP", DB, 80, "dropped"],
      ["job", "TCP", WAN2, 80, "open"],
      ["job", "TCP", WAN, 80, "dropped"],
      ["job", "TCP", DB, 80, "dropped"],
    ],
  },
];

function ports(first: number, count: number): readonly { readonly protocol: "TCP"; readonly port: number }[] {
  return Array.from({ length: count }, (_, index) => ({ protocol: "TCP", port: first + index }));
}
