import type { Match, Rule, Target } from "../layout/rule.ts";
import { sameAddressProgram } from "./same-address.ts";
import type { Marks } from "./marks.ts";
import { markText } from "./marks.ts";

/**
 * The rule as `iptables-save` prints it, without `-A <chain>`: a kernel that holds what we want holds the same text.
 */
export function ruleText({ matches, target }: Rule, marks: Marks): string {
  const sorted = matches.toSorted((a, b) => RANK[a.kind] - RANK[b.kind]);
  const words = [...sorted.map((match) => matchText(match, marks)), targetText(target, marks)];
  return words.filter((word) => word !== "").join(" ");
}

/** iptables prints the packet's own header first; sorting is stable, so the rest stays as layout put it. */
const RANK: Readonly<Record<Match["kind"], number>> = {
  source: 0,
  destination: 1,
  elsewhere: 0,
  loopback: 2,
  protocol: 3,
  ports: 3,
  midstream: 3,
  icmp6: 3,
  set: 4,
  "to itself": 4,
  tracked: 4,
  mark: 4,
  bridged: 4,
  "packet type": 4,
  limit: 4,
  state: 4,
};

function matchText(match: Match, marks: Marks): string {
  switch (match.kind) {
    case "source":
      return `-s ${match.net}`;
    case "destination":
      return `-d ${match.net}`;
    case "elsewhere":
      return `! -s ${match.net} ! -d ${match.net}`;
    case "loopback":
      return "-i lo";
    case "protocol":
      return `-p ${match.protocol.toLowerCase()}`;
    case "ports": {
      const protocol = match.protocol.toLowerCase();
      const ports = match.from === match.to ? match.from : `${match.from}:${match.to}`;
      return `-p ${protocol} -m ${protocol} --dport ${ports}`;
    }
    case "midstream":
      return "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN";
    case "icmp6":
      return `-p ipv6-icmp -m icmp6 --icmpv6-type ${match.type}`;
    case "set":
      return `-m set --match-set ${match.set} ${match.side}`;
    case "to itself":
      return `-m bpf --bytecode "${sameAddressProgram(match.family)}"`;
    case "tracked":
      return ["-m conntrack", ...trackedText(match)].join(" ");
    case "mark":
      return `-m connmark ${match.not === true ? "! " : ""}--mark ${markText(match.mark, marks)}`;
    case "bridged":
      return "-m physdev --physdev-is-bridged";
    case "packet type":
      return `-m pkttype --pkt-type ${match.type}`;
    case "limit":
      return limitText(match.perSecond);
    case "state":
      return marks.state === undefined ? "" : `-m comment --comment ${marks.state}`;
  }
}

/** Logged packets go here; a number that no other tool is known to take. */
export const LOG_GROUP = 9475;
/** Enough for the addresses and ports behind every header that they may have. */
const LOG_BYTES = 128;
/** What iptables takes where nothing is said, and then does not print. */
const USUAL_BURST = 5;

function limitText(perSecond: number): string {
  return `-m limit --limit ${perSecond}/sec${perSecond === USUAL_BURST ? "" : ` --limit-burst ${perSecond}`}`;
}

function trackedText({ state, status, direction }: Extract<Match, { kind: "tracked" }>): readonly string[] {
  return [
    ...(state === undefined ? [] : [negatable("--ctstate", state)]),
    ...(status === undefined ? [] : [negatable("--ctstatus", status)]),
    ...(direction === undefined ? [] : [`--ctdir ${direction}`]),
  ];
}

/** iptables writes the negation before the option. */
function negatable(option: string, value: string): string {
  return value.startsWith("! ") ? `! ${option} ${value.slice(2)}` : `${option} ${value}`;
}

function targetText(target: Target, marks: Marks): string {
  switch (target.kind) {
    case "return":
      return "-j RETURN";
    case "drop":
      return "-j DROP";
    case "jump":
      return `-j ${target.chain}`;
    case "goto":
      return `-g ${target.chain}`;
    case "mark":
      return `-j CONNMARK --set-xmark ${markText(target.mark, marks)}`;
    case "log":
      return `-j NFLOG --nflog-prefix ${target.chain} --nflog-group ${LOG_GROUP} --nflog-size ${LOG_BYTES}`;
  }
}
