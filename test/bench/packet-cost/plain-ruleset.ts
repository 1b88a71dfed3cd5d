import type { Cluster, Policy } from "./cluster.ts";

/** Input of `ipset restore` and `iptables-restore`. */
export interface PlainRuleset {
  readonly sets: string;
  readonly rules: string;
}

const ALLOWED = "0x10000/0x10000";
/** The set of all policies that select no pod of this node: nobody asks it, and ten thousand sets take long to make. */
const ELSEWHERE = "elsewhere";

/**
 * The yardstick: NetworkPolicies written down plainly, as firewalls of the first generation do. One jump per pod and
 * direction, one chain per pod and direction with a jump to each policy that selects it, one chain per policy and
 * direction, one set per rule. All the cluster's policies have their chains. A mark says that some policy allowed the
 * packet; the pod's chain drops what has none.
 */
export function plainRuleset({ pods, policies }: Cluster): PlainRuleset {
  const named = [...policies];
  const selecting = new Set(pods.flatMap(({ ingress = [], egress = [] }) => [...ingress, ...egress]));
  const setOf = (name: string, direction: "E" | "I"): string => {
    return selecting.has(name) ? `${name}-${direction}` : ELSEWHERE;
  };
  const chains = [
    ...pods.flatMap((_, pod) => [podChain(pod, "E"), podChain(pod, "I")]),
    ...named.flatMap(([name]) => [policyChain(name, "E"), policyChain(name, "I")]),
  ];
  const rules = [
    "-A FORWARD -j PLAIN",
    ...pods.flatMap(({ address }, pod) => [
      `-A PLAIN -s ${address}/32 -j ${podChain(pod, "E")}`,
      `-A PLAIN -d ${address}/32 -j ${podChain(pod, "I")}`,
    ]),
    ...pods.flatMap(({ egress = [], ingress = [] }, pod) => [
      ...podRules(podChain(pod, "E"), egress.map((name) => policyChain(name, "E"))),
      ...podRules(podChain(pod, "I"), ingress.map((name) => policyChain(name, "I"))),
    ]),
    ...named.flatMap(([name, { port }]) => [
      ...policyRules(policyChain(name, "E"), port, `${setOf(name, "E")} dst`),
      ...policyRules(policyChain(name, "I"), port, `${setOf(name, "I")} src`),
    ]),
  ];
  const local = named.filter(([name]) => selecting.has(name));
  const sets = local.flatMap(([name, policy]) => [setText(`${name}-E`, policy), setText(`${name}-I`, policy)]);
  return {
    sets: [...sets, setText(ELSEWHERE, { port: 0, peers: [] })].join(""),
    rules: ["*filter", ...["PLAIN", ...chains].map((chain) => `:${chain} - [0:0]`), ...rules, "COMMIT", ""].join("\n"),
  };
}

function podRules(chain: string, policies: readonly string[]): readonly string[] {
  return [
    `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN`,
    `-A ${chain} -j MARK --set-xmark 0x0/0x10000`,
    ...policies.map((policy) => `-A ${chain} -j ${policy}`),
    `-A ${chain} -m mark ! --mark ${ALLOWED} -j DROP`,
  ];
}

function policyRules(chain: string, port: number, lookup: string): readonly string[] {
  return [
    `-A ${chain} -p udp -m udp --dport ${port} -m set --match-set ${lookup} -j MARK --set-xmark ${ALLOWED}`,
    `-A ${chain} -m mark --mark ${ALLOWED} -j RETURN`,
  ];
}

/** Input of `ipset restore` that makes a set of a policy's peers. */
export function setText(name: string, { peers }: Policy): string {
  return [`create ${name} hash:ip family inet\n`, ...peers.map((peer) => `add ${name} ${peer}\n`)].join("");
}

function podChain(pod: number, direction: "E" | "I"): string {
  return `POD-${direction}-${pod}`;
}

function policyChain(name: string, direction: "E" | "I"): string {
  return `POL-${direction}-${name}`;
}
