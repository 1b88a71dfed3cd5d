/** Settings that travel to the enforcers in the stream's `hello`, and are kept with their disk copy. */
export interface EnforcerSettings {
  /** `Enforce`: what a pod sends to its own node is judged too. `Allow`, as Kubernetes documents: it always passes. */
  readonly nodeTraffic: "Allow" | "Enforce";
  /** What becomes of a connection that was allowed once and is not any more. */
  readonly establishedFlows: "Cut" | "Keep";
  /** Whether a pod's address that is not programmed yet is closed both ways. Needs the node's exact pod networks. */
  readonly failClosed: boolean;
  /** Bits of the connection mark that hold our verdict; 0 = chosen among those that nobody else uses. */
  readonly connmarkMask: number;
  /** Which iptables holds our chains; `Auto` = the one that the node's kubelet uses. */
  readonly backend: "Auto" | "nft" | "legacy";
  /** Which packets are logged: would-be drops of audits, these and real drops, or none. */
  readonly logDrops: "Audit" | "All" | "None";
  /** Most lines that an enforcer logs of packets, a second; from 1 to 100. */
  readonly logPerSecond: number;
  /** Connections of peers that leave are cut together, at most once in so many milliseconds. */
  readonly leaversMs: number;
  /** From the start of one look whether the kernel holds what it should to the start of the next. Milliseconds. */
  readonly driftCheckMs: number;
  /** The disk copy is written at most once in so many milliseconds. */
  readonly diskCopyMs: number;
  /** Silence on the stream after which the enforcer reconnects. Milliseconds; three heartbeats by default. */
  readonly streamSilenceMs: number;
}

export const DEFAULT_ENFORCER_SETTINGS: EnforcerSettings = {
  nodeTraffic: "Allow",
  establishedFlows: "Cut",
  failClosed: false,
  connmarkMask: 0,
  backend: "Auto",
  logDrops: "Audit",
  logPerSecond: 10,
  leaversMs: 1_000,
  // Damage is put right within 5 s: the look and the repair take their time too.
  driftCheckMs: 4_500,
  diskCopyMs: 10_000,
  streamSilenceMs: 45_000,
};

/** Fewer bits would make generations come round too soon. */
const FEWEST_BITS = 8;

/** Whether `mask` is one run of at least eight bits. */
export function isConnmarkField(mask: number): boolean {
  return /^0*1{8,32}0*$/.test((mask >>> 0).toString(2).padStart(32, "0")) && mask >= 2 ** FEWEST_BITS - 1;
}
