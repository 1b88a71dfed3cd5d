import { EXTENSIONS } from "../../operator/enforcer/layout/options.ts";
import type { Columns, HeldElsewhere } from "./case.ts";

const FAULTS = "test/packets/faults";
/** The columns of the small table too. */
const COMBINED: Columns["layout"] = ["whole", "no marks", "no sets"];
const ALONE = {
  where: { layout: EXTENSIONS.map((extension) => `without ${extension}` as const) },
  why: "each extension left out alone is for the cases that have rows",
} as const;
const everywhere = (why: string) => [{ where: {}, why }];

/** What rows cannot tell. A case that has rows as well is here with the part of it that is left. */
export const HELD_ELSEWHERE: readonly HeldElsewhere[] = [
  {
    case: 15,
    part: "rest",
    notByTable: "connections of an address that changed hands: a row has one pod behind each address for good",
    heldBy: ["test/packets/enforcer.test.ts", "test/packets/settings.test.ts", `${FAULTS}/flows-swaps.test.ts`],
  },
  {
    case: 16,
    part: "rest",
    notByTable:
      "that an edit cuts at once (rows are patient with a busy machine), a server that pushes to a silent client, " +
      "a connection that sleeps, a restart, establishedFlows Keep: need a kernel and time",
    heldBy: [
      `${FAULTS}/flows.test.ts`, `${FAULTS}/flows-marks.test.ts`, `${FAULTS}/flows-swaps.test.ts`,
      "test/packets/enforcer.test.ts", "test/packets/settings.test.ts",
    ],
  },
  {
    case: 18,
    part: "rest",
    notByTable:
      "neighbour discovery, listener reports, errors of a connection, path MTU discovery: no echo requests, or not " +
      "first packets",
    heldBy: ["test/packets/odd-packets.test.ts", `${FAULTS}/flows-errors.test.ts`],
  },
  {
    case: 19,
    part: "rest",
    notByTable: "what the rules themselves count: rows see only what arrives",
    heldBy: ["test/packets/odd-packets.test.ts"],
  },
  {
    case: 21,
    part: "whole",
    notByTable: "rows run on a bridge as on routed interfaces; that filtering is off for one is a fact of the node",
    heldBy: ["test/packets/host.test.ts"],
    notPlayed: everywhere("found out by looking at the node's settings; no rule of ours, whatever the column, takes part"),
  },
  {
    case: 22,
    part: "rest",
    notByTable: "the jump is put back to the first place: needs a stranger who moves it",
    heldBy: [
      "test/packets/enforcer.test.ts", "test/packets/enforcer-process.test.ts", `${FAULTS}/repair.test.ts`,
    ],
  },
  {
    case: 23,
    part: "whole",
    notByTable: "rules of others are left alone: about the kernel's tables, not about packets",
    heldBy: ["test/packets/leaving.test.ts", `${FAULTS}/retire.test.ts`, `${FAULTS}/repair.test.ts`],
    plays: [{ wiring: ["ptp"], layout: ["whole"] }],
    notPlayed: [
      { where: { wiring: ["bridge"] }, why: "others' rules are told from ours by names, which a bridge does not change" },
      { where: { layout: ["no marks", "no sets"] }, why: "less of ours is written: what is told apart is the same" },
      ALONE,
    ],
  },
  {
    case: 24,
    part: "whole",
    notByTable: "failClosed is about pods that the node does not know yet: a row has none",
    heldBy: ["test/packets/fail-closed.test.ts"],
    plays: [{ layout: COMBINED }],
    notPlayed: [ALONE],
  },
  {
    case: 25,
    part: "whole",
    notByTable: "audit drops nothing: it counts and logs",
    heldBy: [
      "test/packets/audit.test.ts", "test/packets/audit-combinations.test.ts", `${FAULTS}/audit.test.ts`,
      "test/cluster/operator/audit.test.ts",
    ],
    plays: [{ layout: COMBINED }],
    notPlayed: [ALONE],
  },
  {
    case: 26,
    part: "rest",
    notByTable: "a pod selector that is not understood any more: what its policy was before stays, and a row has no past",
    heldBy: ["test/unit/resolve/unreadable-selector.test.ts", "test/unit/resolve/resolver.test.ts"],
  },
  {
    case: 27,
    part: "whole",
    notByTable: "the operator's own pods, API server and DNS: needs a whole cluster that runs us",
    heldBy: ["test/unit/control/own-road.test.ts", "test/cluster/operator/own-road.test.ts"],
    notPlayed: everywhere("what the operator writes and refuses is the same whatever its nodes are"),
  },
  {
    case: 28,
    part: "whole",
    notByTable: "says when a test may count a packet: rows are probed once their cluster is in force",
    heldBy: ["test/packets/matrix.test.ts"],
    notPlayed: everywhere("a rule for the test itself: every cell with rows follows it"),
  },
  {
    case: 29,
    part: "whole",
    notByTable: "forged source addresses: rows send what the host would send; that others cannot be is a node's matter",
    heldBy: ["test/packets/host.test.ts"],
    notPlayed: everywhere("found out by looking at the node's settings; no rule of ours, whatever the column, takes part"),
  },
  {
    case: 30,
    part: "whole",
    notByTable: "link-local, broadcast and multicast on a bridge: rows have no such addresses",
    heldBy: ["test/packets/odd-packets.test.ts", "test/unit/enforcer/layout-golden.test.ts"],
    plays: [{ wiring: ["bridge"], layout: ["whole"] }],
    notPlayed: [
      { where: { wiring: ["ptp"] }, why: "a routed interface carries such packets no further than to the node" },
      {
        where: { layout: ["no marks"] },
        why: "played without marks (odd-packets.test.ts) but with bpf, which only the rule for a pod that talks to itself has",
      },
      {
        where: { layout: ["no sets"] },
        why: "without pkttype broadcasts are not stopped, and the node says so (BroadcastsNotFiltered); the rules are golden text",
      },
      ALONE,
    ],
  },
  {
    case: 31,
    part: "whole",
    notByTable: "untracked and INVALID packets, fragments: need packets made by hand",
    heldBy: ["test/packets/odd-packets.test.ts"],
    plays: [{ layout: ["whole"] }],
    notPlayed: [
      {
        where: { layout: ["no marks", "no sets"] },
        why: "the packets are played with the whole layout alone; the rules of the others are golden text",
      },
      ALONE,
    ],
  },
  {
    case: 32,
    part: "whole",
    notByTable: "kube-proxy in IPVS mode is detected; packets through it need a kernel that has IPVS",
    heldBy: ["test/packets/host.test.ts", "test/packets/ipvs.test.ts"],
    notPlayed: everywhere("found out by looking at the node, which then confirms nothing, whatever the column"),
  },
];
