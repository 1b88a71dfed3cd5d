import type { CasePacket, Family, Host, ThroughService } from "./case.ts";

/** What is sent: a TCP port by its number alone, or one of the others. */
export type Shot = number | { readonly protocol: "UDP" | "SCTP"; readonly port: number } | "ping";

type Target = Host | ThroughService;
type Packets = readonly CasePacket[];

export const udp = (port: number): Shot => ({ protocol: "UDP", port });
export const sctp = (port: number): Shot => ({ protocol: "SCTP", port });

/** Every source to every target with every shot gets through. */
export function open(from: readonly Host[], to: readonly Target[], ...shots: readonly Shot[]): Packets {
  return packets(from, to, shots, "open");
}

/** None of them gets through. */
export function dropped(from: readonly Host[], to: readonly Target[], ...shots: readonly Shot[]): Packets {
  return packets(from, to, shots, "dropped");
}

/** The same packets, sent in one family only. */
export function within(family: Family, list: Packets): Packets {
  return list.map((packet) => ({ ...packet, family }));
}

function packets(
  from: readonly Host[],
  to: readonly Target[],
  shots: readonly Shot[],
  expect: CasePacket["expect"],
): Packets {
  return from.flatMap((source) => to.flatMap((target) => shots.map((shot) => {
    const what = shot === "ping" ? { protocol: "ICMP" as const }
      : typeof shot === "number" ? { protocol: "TCP" as const, port: shot }
        : shot;
    return { from: source, to: target, ...what, expect };
  })));
}
