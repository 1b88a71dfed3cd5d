import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { Flow } from "./cluster.ts";
import { difference } from "./figures.ts";
import type { PlainRuleset } from "./plain-ruleset.ts";
import { setText } from "./plain-ruleset.ts";
import { BASELINE, forwarding, restore } from "./rulesets.ts";
import type { Effort, Subject } from "./trial.ts";
import { trial } from "./trial.ts";

/** What a rule costs in ns: the first of its kind on a packet's way, and each further one. */
export interface Price {
  readonly name: string;
  readonly first: number;
  readonly further: number;
}

/** More of one kind than the first, so that what the machine does besides is divided by their number. */
const FURTHER = 5;

/** Rules that let every packet of the flow pass. Those that match go to a chain that is empty. */
const RULES: readonly (readonly [string, string])[] = [
  ["address", "-d 192.0.2.1/32 -j DROP"],
  ["network of 23 bits", "-d 192.0.2.0/23 -j DROP"],
  ["network of 24 bits", "-d 192.0.2.0/24 -j DROP"],
  ["port", "-p udp -m udp --dport 9 -j DROP"],
  ["conntrack state", BASELINE],
  ["connmark", "-m connmark --mark 0x20000/0xffff0000 -j DROP"],
  ["CONNMARK", "-j CONNMARK --set-xmark 0x10000/0xffff0000"],
  ["jump and return", "-j EMPTY"],
  ["comment", "-m comment --comment c -j EMPTY"],
  ["set", "-m set --match-set peers dst -j EMPTY"],
];

/** The prices on this machine, of rules behind the baseline's, for packets of established connections. */
export async function rulePrices(
  sender: string,
  folder: string,
  backend: Backend,
  flow: Flow,
  effort: Effort,
): Promise<readonly Price[]> {
  const sets = setText("peers", { port: flow.port, peers: [flow.local, flow.remote, flow.server] });
  const prices: Price[] = [];
  for (const [name, rule] of RULES) {
    const subject = (count: number): Subject => ({
      name: String(count),
      open: true,
      install: (network) => restore(network, backend, repeated(rule, count, sets)),
    });
    const times = await trial(sender, folder, flow, [0, 1, 1 + FURTHER].map(subject), effort);
    const [none, one, many] = [times.get("0"), times.get("1"), times.get(String(1 + FURTHER))];
    if (none === undefined || one === undefined || many === undefined) throw new Error(`${name} was not measured`);
    prices.push({
      name,
      first: difference(one, none, "established").median,
      further: difference(many, one, "established").median / FURTHER,
    });
  }
  return prices;
}

function repeated(rule: string, count: number, sets: string): PlainRuleset {
  const { rules } = forwarding(BASELINE, ...Array.from({ length: count }, () => rule));
  return { sets, rules: rules.replace("*filter\n", "*filter\n:EMPTY - [0:0]\n") };
}
