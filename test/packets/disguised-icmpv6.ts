import { ADDRESSES, type PodHost } from "./bed/address-plan.ts";
import type { Bed } from "./bed/bed.ts";

/** No hop limit of anybody else's; across a node it is one less. */
const HOPS = 77;
const TABLE = "table ip6 disguise";
/** Takes the table away, whether it is there or not. */
const NONE = `${TABLE}\ndelete ${TABLE}\n`;

/**
 * Those of the ICMPv6 types that arrive at `to` when `from` sends one packet of each: echo requests that nft makes into
 * others on their way out, so that it needs no program that can write raw packets.
 */
export async function arrivals(bed: Bed, from: PodHost, to: PodHost, types: readonly number[]): Promise<readonly number[]> {
  const nft = (host: PodHost, script: string) => bed.network.run(host, ["nft", "--file", "-"], script);
  const disguises = [
    `icmpv6 type echo-request ip6 hoplimit set ${HOPS} meta mark set numgen inc mod ${types.length}`,
    ...types.map((type, turn) => `ip6 hoplimit ${HOPS} meta mark ${turn} icmpv6 type set ${type}`),
  ];
  // Before the host itself looks at them: most would be none of its business.
  const counters = types.map((type) => `ip6 hoplimit { ${HOPS - 1}, ${HOPS} } icmpv6 type ${type} counter`);
  try {
    await nft(from, chain("output", disguises));
    await nft(to, chain("prerouting", counters));
    await bed.prober.probe(types.map(() => ({ from, to: ADDRESSES[to].ipv6, protocol: "ICMP" })));
    const counted = (await bed.network.run(to, ["nft", "list", "ruleset"])).matchAll(/counter packets (\d+)/g).toArray();
    return types.filter((_, index) => Number(counted[index]?.[1]) > 0);
  } finally {
    for (const host of [from, to]) await nft(host, NONE);
  }
}

/** What makes nft hold these rules alone. */
function chain(hook: string, lines: readonly string[]): string {
  const rules = [`type filter hook ${hook} priority -300`, ...lines].join("\n");
  return `${NONE}${TABLE} {\nchain ${hook} {\n${rules}\n}\n}\n`;
}
