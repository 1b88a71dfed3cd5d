import type { HeldElsewhere } from "./case.ts";

/** What rows cannot tell. A case that has rows as well is here with the part of it that is left. */
export const HELD_ELSEWHERE: readonly HeldElsewhere[] = [
  {
    case: 15,
    notByTable: "connections of an address that changed hands: a row has one pod behind each address for good",
    heldBy: ["test/packets/enforcer.test.ts", "test/packets/settings.test.ts"],
  },
  {
    case: 16,
    notByTable: "a server that pushes to a silent client, a restart, establishedFlows Keep: need a kernel and time",
    heldBy: ["test/packets/enforcer.test.ts", "test/packets/settings.test.ts"],
  },
  {
    case: 18,
    notByTable: "neighbour discovery, listener reports, errors of a connection, path MTU discovery: not first packets",
    heldBy: ["test/packets/odd-packets.test.ts"],
  },
  {
    case: 19,
    notByTable: "what the rules themselves count: rows see only what arrives",
    heldBy: ["test/packets/odd-packets.test.ts"],
  },
  {
    case: 21,
    notByTable: "rows run on a bridge as on routed interfaces; that filtering is off for one is a fact of the node",
    heldBy: ["test/packets/host.test.ts"],
  },
  {
    case: 22,
    notByTable: "the jump is put back to the first place: needs a stranger who moves it",
    heldBy: ["test/packets/enforcer-process.test.ts"],
  },
  {
    case: 23,
    notByTable: "rules of others are left alone: about the kernel's tables, not about packets",
    heldBy: ["test/packets/enforcer.test.ts", "test/unit/enforcer/netfilter.test.ts"],
  },
  {
    case: 24,
    notByTable: "failClosed is about pods that the node does not know yet: a row has none",
    heldBy: ["test/packets/settings.test.ts"],
  },
  {
    case: 25,
    notByTable: "audit drops nothing: it counts and logs",
    heldBy: ["test/packets/audit.test.ts", "test/cluster/operator/audit.test.ts"],
  },
  {
    case: 27,
    notByTable: "the operator's own pods, API server and DNS: needs a whole cluster that runs us",
    heldBy: ["test/unit/control/own-road.test.ts"],
  },
  {
    case: 28,
    notByTable: "says when a test may count a packet: rows are probed once their cluster is in force",
    heldBy: ["test/packets/matrix.test.ts"],
  },
  {
    case: 29,
    notByTable: "forged source addresses: rows send what the host would send; that others cannot be is a node's matter",
    heldBy: ["test/packets/host.test.ts"],
  },
  {
    case: 30,
    notByTable: "link-local, broadcast and multicast on a bridge: rows have no such addresses",
    heldBy: ["test/packets/odd-packets.test.ts", "test/unit/enforcer/layout-golden.test.ts"],
  },
  {
    case: 31,
    notByTable: "untracked and INVALID packets, fragments: need packets made by hand",
    heldBy: ["test/packets/odd-packets.test.ts"],
  },
  {
    case: 32,
    notByTable: "kube-proxy in IPVS mode is detected; packets through it need a kernel that has IPVS",
    heldBy: ["test/packets/host.test.ts"],
  },
];
