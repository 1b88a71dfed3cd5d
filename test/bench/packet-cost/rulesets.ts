import { fileURLToPath } from "node:url";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { Cluster } from "./cluster.ts";
import { stateOf } from "./cluster.ts";
import { leastRuleset } from "./least-ruleset.ts";
import type { NodeNetwork } from "./node-network.ts";
import type { PlainRuleset } from "./plain-ruleset.ts";
import { plainRuleset } from "./plain-ruleset.ts";
import type { Subject } from "./trial.ts";

export type Variant = "floor" | "baseline" | "tierwall" | "least" | "plain";

/** What everything is compared with: connection tracking, and this rule. */
export const BASELINE = "-m conntrack --ctstate INVALID -j DROP";

const ENFORCE = fileURLToPath(new URL("enforce.ts", import.meta.url));

/** The rulesets that are compared. `floor` tracks connections, but its one rule ends with its first compare. */
export function rulesets(backend: Backend, cluster: Cluster): readonly Subject<Variant>[] {
  const unenforced = (name: Variant, rule: string): Subject<Variant> => {
    return { name, open: true, install: (network) => restore(network, backend, forwarding(rule)) };
  };
  return [
    unenforced("floor", `-s 192.0.2.1 ${BASELINE}`),
    unenforced("baseline", BASELINE),
    {
      name: "tierwall",
      install: async (network) => {
        await network.run([process.execPath, ENFORCE, backend], JSON.stringify(stateOf(cluster)));
      },
    },
    { name: "least", install: (network) => restore(network, backend, leastRuleset(cluster)) },
    { name: "plain", install: (network) => restore(network, backend, plainRuleset(cluster)) },
  ];
}

/** Rules of FORWARD and of nothing else. */
export function forwarding(...rules: readonly string[]): PlainRuleset {
  return { sets: "", rules: ["*filter", ...rules.map((rule) => `-A FORWARD ${rule}`), "COMMIT", ""].join("\n") };
}

/** Gives a node rules, and the sets that they look up. */
export async function restore(network: NodeNetwork, backend: Backend, { sets, rules }: PlainRuleset): Promise<void> {
  if (sets !== "") await network.run(["ipset", "restore"], sets);
  await network.run([`iptables-${backend}-restore`, "-w"], rules);
}
