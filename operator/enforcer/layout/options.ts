/** What shapes a node's rules beside its state: what users set, and what its kernel and network are. */
export interface LayoutOptions {
  /** `Enforce`: what pods send to their own node is judged as well. */
  readonly nodeTraffic: "Allow" | "Enforce";
  readonly establishedFlows: "Cut" | "Keep";
  /** Networks of the node's pods in which every address that is not a known pod's is closed; empty = none is. */
  readonly closedNets: readonly string[];
  /** Pods hang on a Linux bridge: frames between them pass FORWARD too, also those that no router would pass on. */
  readonly bridged: boolean;
  /** Whose packets are logged: of would-be drops, of these and real ones, of none. */
  readonly logDrops: "Audit" | "All" | "None";
  /** At most so many a second, of each kind. */
  readonly logPerSecond: number;
  /** What the kernel or its tools lack. */
  readonly lacks: ReadonlySet<Extension>;
}

/**
 * Extensions that the rules can do without: worse, but never wider, except for broadcasts on a bridge without `pkttype`.
 * What is not in this list (conntrack, for one) has no substitute.
 */
export type Extension = "connmark" | "comment" | "set" | "bpf" | "physdev" | "pkttype" | "sctp" | "log";

export const EXTENSIONS: readonly Extension[] = ["connmark", "comment", "set", "bpf", "physdev", "pkttype", "sctp", "log"];

export const DEFAULT_OPTIONS: LayoutOptions = {
  nodeTraffic: "Allow",
  establishedFlows: "Cut",
  closedNets: [],
  bridged: false,
  logDrops: "Audit",
  logPerSecond: 10,
  lacks: new Set(),
};

/**
 * How a packet of a connection that was allowed is told: by our mark on the connection, which holds for one generation
 * of the rules, or by connection tracking alone, which knows nothing of the rules.
 */
export type Memory = "mark" | "tracking";

export function memoryOf({ establishedFlows, lacks }: LayoutOptions): Memory {
  return establishedFlows === "Keep" || lacks.has("connmark") ? "tracking" : "mark";
}
