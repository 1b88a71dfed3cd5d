import type { Protocol } from "../api/network-policy.ts";

/**
 * First packet of a connection, as filtering sees it: after destination NAT. Which pods and nodes it concerns follows
 * from its addresses, which are of one family.
 */
export interface Packet {
  readonly source: string;
  readonly destination: string;
  /** `ICMP`: an echo request of either family. */
  readonly protocol: Protocol | "ICMP";
  /** The destination's; absent for ICMP. */
  readonly port?: number;
}
