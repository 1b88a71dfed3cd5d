import type { AuditSubject } from "./layout/audits.ts";
import { DROP_CHAIN } from "./layout/skeleton.ts";

/** How many packets met their end in our chains since these stand. */
export interface PacketCounts {
  readonly dropped: number;
  /** By policy, tier and direction. Each connection once for every time that it was judged. */
  readonly wouldDrop: readonly (AuditSubject & { readonly packets: number })[];
}

export const NO_PACKETS: PacketCounts = { dropped: 0, wouldDrop: [] };

/** @param reached for each table, how many packets reached the last rule of a chain */
export function packetCounts(
  reached: readonly ReadonlyMap<string, number>[],
  subjects: ReadonlyMap<string, AuditSubject>,
): PacketCounts {
  const of = (chain: string) => reached.reduce((sum, chains) => sum + (chains.get(chain) ?? 0), 0);
  return {
    dropped: of(DROP_CHAIN),
    wouldDrop: [...subjects].map(([chain, subject]) => ({ ...subject, packets: of(chain) })),
  };
}
