import type { Labels } from "../../operator/api/meta.ts";
import type { Protocol } from "../../operator/api/network-policy.ts";
import type { Extension } from "../../operator/enforcer/layout/options.ts";
import type { Combination } from "../packets/matrix-combinations.ts";

/**
 * The hosts that cases are about: pods `a`, `b`, `c` on the node `left`, `d` and `e` on `right`, the nodes themselves,
 * and `wan`, which is outside the cluster. Each has one address of each family and listens on `LISTENING`.
 */
export type PodHost = "a" | "b" | "c" | "d" | "e";
export type NodeHost = "left" | "right";
export type Host = PodHost | NodeHost | "wan";
export type Family = "ipv4" | "ipv6";

export const PODS_OF = { left: ["a", "b", "c"], right: ["d", "e"] } as const;
/** A closed port answers "refused", which is as open as "open": the packet went through. */
export const LISTENING = { TCP: [80, 81, 82, 5432], UDP: [53, 54] } as const;

/**
 * One family, or both at once, and what rows need to know of addresses. Those of hosts on different nodes differ in
 * more than their last 8 bits, and `wan` has another first bit than every pod.
 */
export interface AddressPlan {
  readonly families: readonly Family[];
  readonly address: (host: Host, family: Family) => string;
  /** Network that the ClusterIPs of Services are in; only rows with Services look at it. */
  readonly serviceNet: (family: Family) => string;
}

/** A pod of the test bed as a row wants it; absent fields are those of `POD_DEFAULTS`. */
export interface PodDraft {
  readonly namespace?: string;
  readonly labels?: Labels;
  /** Merged into `spec` and `status`: raw, as the API server would send them. */
  readonly spec?: object;
  readonly status?: object;
  readonly deleting?: boolean;
  /** Instead of the address of its host, of each family of the plan. */
  readonly addresses?: (plan: AddressPlan) => readonly string[];
}

/** `generated` makes a policy one that Tierwall wrote itself. `spec` is raw: it goes through the product's reader. */
export interface PolicyDraft {
  readonly spec: unknown;
  readonly generated?: boolean;
}

/** One endpoint each, so that the verdict is about one pod. */
export interface ServiceDraft {
  readonly pod: PodHost;
  readonly protocol?: Protocol;
  readonly port: number;
  readonly targetPort: number;
}

export interface ClusterDraft {
  /** Labels by name, beside `shop` and `other`; `undefined` takes one of these away. */
  readonly namespaces?: Readonly<Record<string, Labels | undefined>>;
  /** What differs from `POD_DEFAULTS`. */
  readonly pods?: Readonly<Partial<Record<PodHost, PodDraft>>>;
  /** Pod objects without a host of the bed behind them: by name, with the node they claim to be on. */
  readonly ghosts?: Readonly<Record<string, PodDraft & { readonly node: NodeHost }>>;
  /** By `<namespace>/<name>`. */
  readonly policies: Readonly<Record<string, PolicyDraft>>;
  /** By name, in the namespace of their pod. */
  readonly services?: Readonly<Record<string, ServiceDraft>>;
  readonly enforce?: "Segments" | "All";
  readonly nodeTraffic?: "Allow" | "Enforce";
}

/** Through a Service, by its name: its ClusterIP, or its node port on `node`. */
export interface ThroughService {
  readonly service: string;
  readonly node?: NodeHost;
}

export interface CasePacket {
  readonly from: Host;
  readonly to: Host | ThroughService;
  /** `ICMP`: an echo request. */
  readonly protocol: Protocol | "ICMP";
  /** Absent for ICMP and where the way leads through a Service. */
  readonly port?: number;
  /** Sent in this family only, and not at all where the plan does not have it. */
  readonly family?: Family;
  readonly expect: "open" | "dropped";
}

interface CaseBase {
  /** Number in the list of what a packet must see, 1 to 32. */
  readonly case: number;
  readonly name: string;
  /** A kernel that lacks one of these drops what the row says is open: never wider, but less is promised of it. */
  readonly needs?: readonly Extension[];
}

/** One state of the cluster, and packets in it. */
export interface CaseRow extends CaseBase {
  /** A function where addresses matter. Every row works for either family and for both at once. */
  readonly cluster: ClusterDraft | ((plan: AddressPlan) => ClusterDraft);
  readonly packets: readonly CasePacket[];
}

/** What happens to the cluster and to connections, in order. */
export type CaseStep =
  | { readonly apply: ClusterDraft | ((plan: AddressPlan) => ClusterDraft) }
  /** Opens a connection (UDP: a flow from one source port) that stays under `id`. */
  | { readonly connect: string; readonly from: Host; readonly to: Host; readonly protocol: "TCP" | "UDP";
    readonly port: number }
  /** The client sends and is answered, or is not. */
  | { readonly ask: string; readonly expect: "answered" | "cut" }
  | { readonly packets: readonly CasePacket[] };

export interface StepRow extends CaseBase {
  readonly steps: readonly CaseStep[];
}

/** Columns of the table: those that have one of the values of each dimension that is named. */
export type Columns = { readonly [Key in keyof Combination]?: readonly Combination[Key][] };

/** A case, or a part of one, that rows cannot tell. */
export interface HeldElsewhere {
  readonly case: number;
  /** `whole`: the case has no rows. `rest`: it must have rows, and this is what they leave. */
  readonly part: "whole" | "rest";
  /** What part, and why. */
  readonly notByTable: string;
  /** Test files, from the root of the project. Without one the case would be held by nobody. */
  readonly heldBy: readonly string[];
  /** Of a whole case: where these tests play it. Pods of both families at once show each of them. */
  readonly plays?: readonly Columns[];
  /** Of a whole case: where nobody plays it, with the reason. Every column is in one of the two. */
  readonly notPlayed?: readonly { readonly where: Columns; readonly why: string }[];
}
