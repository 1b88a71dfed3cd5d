import type { Direction } from "../../api/network-policy.ts";
import type { Family } from "./family.ts";
import type { Memory } from "./options.ts";
import type { ChainName, Match, Rule } from "./rule.ts";
import { DROP, goto, jump, log, mark, RETURN, rule, within } from "./rule.ts";
import type { HookPoint } from "./ruleset.ts";
import { WIRE_CHAIN } from "./wire-guard.ts";

/** The chain that FORWARD jumps to first. */
export const FORWARD_CHAIN = "TW-FWD" as ChainName;
/** The chain that INPUT jumps to first, where what pods send to their own node is judged. */
export const LOCAL_CHAIN = "TW-LOC" as ChainName;
export const EGRESS_CHAIN = "TW-E" as ChainName;
export const INGRESS_CHAIN = "TW-I" as ChainName;
export const DROP_CHAIN = "TW-DROP" as ChainName;
/** Says for which state the chains were written. No packet comes here. */
export const STATE_CHAIN = "TW-STATE" as ChainName;
export const AUDIT_EGRESS_CHAIN = "TW-AE" as ChainName;
export const AUDIT_INGRESS_CHAIN = "TW-AI" as ChainName;

/** What the chains that every packet passes depend on. */
export interface SkeletonPlan {
  readonly family: Family;
  readonly memory: Memory;
  /** Networks that hold the addresses of the node's own pods, and maybe others. */
  readonly nets: readonly string[];
  /** Connections that are not allowed any more end. */
  readonly cut: boolean;
  /** What pods send to their own node is judged. */
  readonly judgeLocal: boolean;
  /** Which packets have to be looked at because of the bridge that they cross; they go to `WIRE_CHAIN`. */
  readonly wire: readonly (readonly Match[])[];
  /** Directions for which pods of the node are audited. */
  readonly audited: ReadonlySet<Direction>;
  /** Drops are logged, at most so many a second; 0 = they are not. */
  readonly logged: number;
  /** Let pods talk to themselves. */
  readonly selves: readonly Rule[];
}

/** Names of the chains on one of the two roads: through the node, or into it. */
interface Road {
  /** Judges a packet whose connection has no verdict of this generation yet. */
  readonly first: ChainName;
  /** Comes before, for what is not the first packet of its connection. */
  readonly established: ChainName;
  readonly discovery: ChainName;
  readonly ask: ChainName;
}

const THROUGH: Road = road(FORWARD_CHAIN, "TW-");
const INTO: Road = road(LOCAL_CHAIN, "TW-L");

const REPLY: Match = { kind: "tracked", direction: "REPLY" };
/** Neighbour discovery and multicast listener messages: without them there is no IPv6 at all. */
const DISCOVERY: readonly number[] = [130, 131, 132, 133, 135, 136, 143];

/**
 * Chains that, as states come and go, change only in the forks to the pods' own chains: that these spread denies nobody
 * anything.
 */
export function isForkChain(name: string): boolean {
  return [THROUGH, INTO].some(({ first, ask }) => name === first || name === ask);
}

/**
 * The first rules of the kernel's own chains. Packets of a connection that has a verdict pay for two rules that do not
 * match, and for no jump. A first packet is told by its state alone; when it comes to the second rule it has the mark.
 */
export function hooks({ memory, judgeLocal }: SkeletonPlan): ReadonlyMap<HookPoint, readonly Rule[]> {
  const leading = ({ first, established }: Road): readonly Rule[] => {
    if (memory === "tracking") return [rule([{ kind: "tracked", state: "! RELATED,ESTABLISHED" }], jump(first))];
    return [
      // Matches packets without a connection as well, which no rule about marks does. As long as nobody answers a
      // connection stays NEW, but it is confirmed once its first packet has passed the node.
      rule([{ kind: "tracked", state: "! RELATED,ESTABLISHED", status: "! CONFIRMED" }], jump(first)),
      rule([{ kind: "mark", mark: "generation", not: true }], jump(established)),
    ];
  };
  return new Map<HookPoint, readonly Rule[]>([
    ["FORWARD", leading(THROUGH)],
    ...(judgeLocal ? [["INPUT", leading(INTO)] as const] : []),
  ]);
}

/**
 * The chains that every packet without a verdict passes, whatever the policies. Connections that both directions allow
 * are marked with the generation, and their next packets do not come here.
 */
export function skeleton(plan: SkeletonPlan): ReadonlyMap<ChainName, readonly Rule[]> {
  return new Map([
    ...roadChains(THROUGH, plan, []),
    ...(plan.judgeLocal ? roadChains(INTO, plan, [rule([{ kind: "loopback" }], RETURN)]) : []),
    [DROP_CHAIN, dropping(plan)],
    [STATE_CHAIN, [rule([{ kind: "state" }], RETURN)]],
  ]);
}

type Chain = readonly [ChainName, readonly Rule[]];

/** A pod that talks to itself, maybe through its own Service, gets here like everybody: only who is denied pays. */
function dropping({ memory, selves, logged }: SkeletonPlan): readonly Rule[] {
  return [
    ...selves,
    ...(logged > 0 ? [rule([{ kind: "limit", perSecond: logged }], log(DROP_CHAIN))] : []),
    ...(memory === "mark" ? [DENYING] : []),
    DROPPING,
  ];
}

/** The same objects each time: a chain that did not change need not be compared. */
const DENYING = rule([], mark("denied"));
const DROPPING = rule([], DROP);

function roadChains(way: Road, plan: SkeletonPlan, before: readonly Rule[]): readonly Chain[] {
  const sources = plan.nets.map((net) => within("source", net));
  const destinations = way === INTO ? [] : plan.nets.map((net) => within("destination", net));
  const ask = [
    // Egress first; only what comes back from both is marked.
    ...sources.map((source) => rule(source, jump(EGRESS_CHAIN))),
    ...destinations.map((destination) => rule(destination, jump(INGRESS_CHAIN))),
    ...(way === THROUGH ? plan.wire.map((matches) => rule(matches, jump(WIRE_CHAIN))) : []),
    // What enforcement let through; once for each verdict.
    ...(plan.audited.has("Egress") ? sources.map((source) => rule(source, jump(AUDIT_EGRESS_CHAIN))) : []),
    ...(plan.audited.has("Ingress") ? destinations.map((to) => rule(to, jump(AUDIT_INGRESS_CHAIN))) : []),
    ...(plan.memory === "mark" ? marking(plan.nets, sources, destinations) : []),
  ];
  const judged = judging(way, plan, ask);
  const chains: readonly Chain[] = plan.memory === "mark"
    ? [[way.first, [...before, ...judged]], [way.established, [...before, ...established(way)]]]
    : [[way.first, [...before, ...midstream(plan, [...sources, ...destinations]), ...judged]]];
  return [
    ...chains,
    ...(plan.family === "ipv6" ? discovering(way, ask) : []),
  ];
}

/** Only connections of the node's own pods are marked, each once. */
function marking(
  nets: readonly string[],
  sources: readonly (readonly Match[])[],
  destinations: readonly (readonly Match[])[],
): readonly Rule[] {
  const [net, ...more] = nets;
  if (net !== undefined && more.length === 0 && destinations.length > 0 && !net.endsWith("/0")) {
    return [rule([{ kind: "elsewhere", net }], RETURN), rule([], mark("generation"))];
  }
  return [...sources, ...destinations].map((side) => rule(side, mark("generation")));
}

/**
 * Where no mark remembers, a connection is cut by deleting its entry. Its next packet must not make a new one, from the
 * server's side above all, which may be allowed to open connections of its own.
 */
function midstream({ cut }: SkeletonPlan, sides: readonly (readonly Match[])[]): readonly Rule[] {
  const late: readonly Match[] = [{ kind: "midstream" }, { kind: "tracked", state: "NEW" }];
  return cut ? sides.map((side) => rule([...side, ...late], DROP)) : [];
}

/** What is not the first packet of its connection, and yet has no verdict. */
function established(way: Road): readonly Rule[] {
  return [
    // Before the cut: an ICMP error carries the mark of the connection that it is about.
    rule([{ kind: "tracked", state: "RELATED" }], RETURN),
    rule([{ kind: "mark", mark: "denied" }, REPLY], DROP),
    rule([{ kind: "tracked", state: "ESTABLISHED", direction: "REPLY" }], RETURN),
    rule([], goto(way.first)),
  ];
}

/** `ask` are the lines that judge; in IPv6 discovery goes before them. */
function judging(way: Road, { family }: SkeletonPlan, ask: readonly Rule[]): readonly Rule[] {
  if (family === "ipv4") return ask;
  return [rule([{ kind: "protocol", protocol: "ipv6-icmp" }], goto(way.discovery)), ...ask];
}

function discovering(way: Road, ask: readonly Rule[]): readonly Chain[] {
  const passing = DISCOVERY.map((type) => rule([{ kind: "icmp6", type }], RETURN));
  return [[way.discovery, [...passing, rule([], goto(way.ask))]], [way.ask, ask]];
}

function road(first: ChainName, prefix: string): Road {
  const chain = (name: string): ChainName => `${prefix}${name}` as ChainName;
  return { first, established: chain("EST"), discovery: chain("ND"), ask: chain("ASK") };
}
