import { canonicalAddress } from "../../api/address.ts";
import type { Flow, TrackedFlow } from "../layout/flow-verdict.ts";

const PROTOCOLS: Readonly<Record<string, Flow["protocol"]>> = {
  tcp: "TCP",
  udp: "UDP",
  sctp: "SCTP",
  icmp: "ICMP",
  icmpv6: "ICMP",
};

/** The connections in the output of `conntrack -L`, those of other protocols left out. */
export function parseFlows(listed: string): readonly TrackedFlow[] {
  return listed.split("\n").map(parseFlow).filter((flow) => flow !== undefined);
}

/** `tcp 6 86399 ESTABLISHED src=… dst=… sport=… dport=… src=… dst=… sport=… dport=… [ASSURED] mark=0 use=1` */
function parseFlow(line: string): TrackedFlow | undefined {
  const protocol = PROTOCOLS[line.slice(0, line.indexOf(" "))];
  const fields = (name: string): readonly string[] => {
    return [...line.matchAll(new RegExp(`(?:^| )${name}=(\\S+)`, "g"))].map(([, value = ""]) => value);
  };
  const [source, server] = fields("src").map(canonicalAddress);
  if (protocol === undefined || source === undefined || server === undefined) return undefined;
  // The second is of the replies: behind destination NAT the client wrote another one.
  const [sourcePort = 0, serverPort = 0] = fields("sport").map(Number);
  return { protocol, source, server, serverPort, sourcePort };
}
