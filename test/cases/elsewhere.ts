import type { HeldElsewhere } from "./case.ts";

const FAULTS = "test/packets/faults";

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
    heldBy: ["test/packets/leaving.test.ts", `${FAULTS}/repair.test.ts`],
  },
  {
    case: 24,
    part: "whole",
    notByTable: "failClosed is about pods that the node does not know yet: a row has none",
    heldBy: ["test/packets/settings.test.ts"],
  },
  {
    case: 25,
    part: "whole",
    notByTable: "audit drops nothing: it counts and logs",
    heldBy: ["test/packets/audit.test.ts", "test/cluster/operator/audit.test.ts"],
  },
  {
    case: 26,
    part: "rest",
    notByTable: "a pod selector that is not understood any more: what its policy was before stays, and a row has no past",
    heldBy: ["test/unit/resolve/resolver.test.ts"],
  },
  {
    case: 27,
    part: "whole",
    notByTable: "the operator's own pods, API server and DNS: needs a whole cluster that runs us",
    heldBy: ["test/unit/control/own-road.test.ts", "test/cluster/operator/own-road.test.ts"],
  },
  {
    case: 28,
    part: "whole",
    notByTable: "says when a test may count a packet: rows are probed once their cluster is in force",
    heldBy: ["test/packets/matrix.test.ts"],
  },
  {
    case: 29,
    part: "whole",
    notByTable: "forged source addresses: rows send what the host would send; that others cannot be is a node's matter",
    heldBy: ["test/packets/host.test.ts"],
  },
  {
    case: 30,
    part: "whole",
    notByTable: "link-local, broadcast and multicast on a bridge: rows have no such addresses",
    heldBy: ["test/packets/odd-packets.test.ts", "test/unit/enforcer/layout-golden.test.ts"],
  },
  {
    case: 31,
    part: "whole",
    notByTable: "untracked and INVALID packets, fragments: need packets made by hand",
    heldBy: ["test/packets/odd-packets.test.ts"],
  },
  {
    case: 32,
    part: "whole",
    notByTable: "kube-proxy in IPVS mode is detected; packets through it need a kernel that has IPVS",
    heldBy: ["test/packets/host.test.ts", "test/packets/ipvs.test.ts"],
  },
];
