import type { AddressPlan, CaseRow, Family, Host } from "./case.ts";
import { anyBlock, block, blockPeers, half, hostBlocks } from "./ip-block.ts";
import { dropped, open, udp } from "./packets.ts";
import { egressOf, ingressOf } from "./policies.ts";

/** Keeps a list of peers from being empty, which would be everybody. */
const NOBODY = { matchLabels: { tier: "none" } };

/** Cases 6 and 7: blocks of addresses, whoever has them. */
export const IP_BLOCKS: readonly CaseRow[] = [
  {
    case: 6,
    name: "single addresses: of pods here and there, and of the world",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [
          { from: hostBlocks(plan, "b"), ports: [{ port: 80 }] },
          { from: hostBlocks(plan, "e", "wan"), ports: [{ port: 81 }] },
        ]),
      },
    }),
    packets: [
      ...open(["b"], ["a"], 80), ...dropped(["c", "d", "e", "wan"], ["a"], 80),
      ...open(["e", "wan"], ["a"], 81), ...dropped(["b", "c", "d"], ["a"], 81),
    ],
  },
  {
    case: 6,
    name: "egress to single addresses",
    cluster: (plan) => ({
      policies: {
        "shop/p": egressOf("a", [{ to: hostBlocks(plan, "wan", "d"), ports: [{ port: 80 }] }]),
      },
    }),
    packets: [
      ...open(["a"], ["wan", "d"], 80), ...dropped(["a"], ["wan", "d"], 81, udp(53)), ...dropped(["a"], ["b", "e"], 80),
    ],
  },
  {
    case: 6,
    name: "an exception is left out",
    cluster: (plan) => ({
      policies: { "shop/p": ingressOf("a", [{ from: around(plan, "b", 4, ["b"]) }, { from: hostBlocks(plan, "d") }]) },
    }),
    packets: [...dropped(["b", "e", "wan"], ["a"], 80), ...open(["d"], ["a"], 80)],
  },
  {
    case: 6,
    name: "an exception belongs to its own block: a narrower block brings the address back",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{ from: [...around(plan, "b", 8, ["b"]), ...around(plan, "b", 4, [])] }]),
        "shop/q": ingressOf("d", [{ from: around(plan, "b", 4, ["b"]) }]),
      },
    }),
    packets: [
      ...open(["b"], ["a"], 80, udp(53)), ...dropped(["b"], ["d"], 80, udp(53)), ...dropped(["wan"], ["a"], 80),
    ],
  },
  {
    case: 6,
    name: "a wider block brings the address back too",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{ from: [...around(plan, "b", 2, ["b"]), ...around(plan, "b", 9, [])] }]),
        "shop/q": ingressOf("d", [{ from: around(plan, "b", 2, ["b"]) }]),
      },
    }),
    packets: [...open(["b"], ["a"], 80), ...dropped(["b"], ["d"], 80)],
  },
  {
    case: 6,
    name: "each policy excepts what the other allows",
    cluster: (plan) => ({
      policies: {
        "shop/one": ingressOf("a", [{ from: everybodyBut(plan, "b", "e") }]),
        "shop/two": ingressOf("a", [{ from: everybodyBut(plan, "d", "e") }]),
      },
    }),
    packets: [...open(["b", "c", "d", "wan"], ["a"], 80), ...dropped(["e"], ["a"], 80)],
  },
  {
    case: 6,
    name: "blocks with other ports, the same block with and without exception",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [
          { from: everybodyBut(plan, "b"), ports: [{ port: 80 }] },
          { from: hostBlocks(plan, "b"), ports: [{ port: 81 }] },
          { from: everybodyBut(plan), ports: [{ port: 82 }] },
        ]),
      },
    }),
    packets: [
      ...open(["d", "wan"], ["a"], 80), ...dropped(["b"], ["a"], 80),
      ...open(["b"], ["a"], 81), ...dropped(["d", "wan"], ["a"], 81),
      ...open(["b", "d", "wan"], ["a"], 82),
    ],
  },
  {
    case: 6,
    name: "egress: an exception and a block that brings it back",
    cluster: (plan) => ({
      policies: {
        "shop/p": egressOf("a", [
          { to: everybodyBut(plan, "b", "wan"), ports: [{ port: 80 }] },
          { to: [...everybodyBut(plan, "b", "d"), ...hostBlocks(plan, "d")], ports: [{ port: 81 }] },
        ]),
      },
    }),
    packets: [
      ...open(["a"], ["c", "d"], 80), ...dropped(["a"], ["b", "wan"], 80),
      ...open(["a"], ["c", "d", "wan"], 81), ...dropped(["a"], ["b"], 81),
    ],
  },
  {
    case: 6,
    name: "a block written with host bits means its network",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{ from: blockPeers(plan, (family) => unmasked(plan, "b", 4, family)) }]),
        "shop/q": egressOf("a", [{
          to: blockPeers(plan, anyBlock, (family) => [unmasked(plan, "wan", 4, family)]),
        }]),
      },
    }),
    packets: [
      ...open(["b"], ["a"], 80), ...dropped(["wan"], ["a"], 80),
      ...open(["a"], ["b"], 80), ...dropped(["a"], ["wan"], 80),
    ],
  },
  {
    case: 6,
    name: "a peer by selector beside a block that excepts it",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{
          from: [...everybodyBut(plan, "b", "c"), { podSelector: { matchLabels: { pod: "b" } } }],
        }]),
      },
    }),
    packets: [...open(["b", "d", "wan"], ["a"], 80), ...dropped(["c"], ["a"], 80)],
  },
  {
    case: 7,
    name: "/0 is everybody of that family, in both directions",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{ from: everybodyBut(plan), ports: [{ port: 80 }, { protocol: "UDP", port: 53 }] }]),
        "shop/q": egressOf("b", [{ to: everybodyBut(plan), ports: [{ port: 80 }] }]),
      },
    }),
    packets: [
      ...open(["c", "d", "e", "wan"], ["a"], 80, udp(53)),
      ...dropped(["c", "d", "e", "wan"], ["a"], 81, udp(54), "ping"),
      ...open(["b"], ["c", "d", "wan"], 80), ...dropped(["b"], ["c", "d", "wan"], 81, udp(53)),
    ],
  },
  {
    case: 7,
    name: "/0 without ports is everything",
    cluster: (plan) => ({
      policies: { "shop/p": ingressOf("a", [{ from: everybodyBut(plan) }]), "shop/q": ingressOf("b", []) },
    }),
    packets: [...open(["b", "d", "wan"], ["a"], 80, udp(53), "ping"), ...dropped(["a", "d"], ["b"], 80)],
  },
  {
    case: 7,
    name: "/0 but for half of everybody",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{ from: blockPeers(plan, anyBlock, (family) => [half(plan, "wan", family)]) }]),
        "shop/q": egressOf("a", [{ to: blockPeers(plan, anyBlock, (family) => [half(plan, "b", family)]) }]),
      },
    }),
    packets: [
      ...open(["b", "d", "e"], ["a"], 80), ...dropped(["wan"], ["a"], 80),
      ...open(["a"], ["wan"], 80), ...dropped(["a"], ["b", "d", "e"], 80),
    ],
  },
  {
    case: 7,
    name: "both halves are everybody; /1 is half of it",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [{
          from: [...blockPeers(plan, (family) => half(plan, "wan", family)),
            ...blockPeers(plan, (family) => half(plan, "b", family))],
        }]),
        "shop/q": ingressOf("d", [{ from: blockPeers(plan, (family) => half(plan, "b", family)) }]),
      },
    }),
    packets: [...open(["b", "d", "wan"], ["a"], 80), ...open(["b", "e"], ["d"], 80), ...dropped(["wan"], ["d"], 80)],
  },
  {
    case: 7,
    name: "/0 of the other family allows nobody of this one",
    cluster: (plan) => ({
      policies: {
        "shop/p": ingressOf("a", [
          { from: everybodyBut(plan), ports: [{ port: 80 }] },
          {
            from: [...everybodyBut({ ...plan, families: absent(plan) }), { podSelector: NOBODY }],
            ports: [{ port: 81 }],
          },
        ]),
      },
    }),
    packets: [...open(["b", "d", "wan"], ["a"], 80), ...dropped(["b", "d", "wan"], ["a"], 81)],
  },
];

/** `ipBlock` peers of `free` bits around a host, without the excepted hosts. */
function around(plan: AddressPlan, host: Host, free: number, except: readonly Host[]): readonly object[] {
  return blockPeers(plan, (family) => block(plan, host, free, family),
    (family) => except.map((each) => block(plan, each, 0, family)));
}

function everybodyBut(plan: AddressPlan, ...except: readonly Host[]): readonly object[] {
  return blockPeers(plan, anyBlock, (family) => except.map((each) => block(plan, each, 0, family)));
}

function unmasked(plan: AddressPlan, host: Host, free: number, family: Family): string {
  return `${plan.address(host, family)}/${(family === "ipv4" ? 32 : 128) - free}`;
}

/** Families that the plan does not have. */
function absent(plan: AddressPlan): readonly Family[] {
  return (["ipv4", "ipv6"] as const).filter((family) => !plan.families.includes(family));
}
