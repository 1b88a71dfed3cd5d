import type { Cluster } from "./cluster.ts";
import type { PlainRuleset } from "./plain-ruleset.ts";
import { setText } from "./plain-ruleset.ts";

const VERDICT = "0x10000/0xffff0000";

/**
 * The least that judges this one flow as Tierwall does, with a verdict that lasts for the connection: two pods are
 * known, each by one compare, and each allows one port. What Tierwall costs more is for knowing the other pods and
 * their policies; what this costs is for the tests and the mark that no ruleset with such verdicts can do without.
 * An established connection pays for two tests. One alone, of the mark, would cost it no more than the baseline's rule,
 * but `connmark` matches no packet that has no connection, inverted or not: what is INVALID would pass it by, and so
 * would a new connection into which a rule of somebody else has written our value.
 */
export function leastRuleset({ policies, flow }: Cluster): PlainRuleset {
  const { local, server, port } = flow;
  const peers = [...policies.values()].find((policy) => policy.port === port)?.peers ?? [];
  const allowed = (side: "src" | "dst") => `-p udp -m udp --dport ${port} -m set --match-set peers ${side} -j RETURN`;
  return {
    sets: setText("peers", { port, peers }),
    rules: [
      "*filter",
      ...["NEW", "OLD", "SENDS", "GETS"].map((chain) => `:${chain} - [0:0]`),
      "-A FORWARD -m conntrack ! --ctstate RELATED,ESTABLISHED ! --ctstatus CONFIRMED -j NEW",
      `-A FORWARD -m connmark ! --mark ${VERDICT} -j OLD`,
      `-A NEW -s ${local}/32 -j SENDS`,
      `-A NEW -d ${server}/32 -j GETS`,
      `-A NEW -j CONNMARK --set-xmark ${VERDICT}`,
      "-A OLD -m conntrack --ctstate RELATED -j RETURN",
      "-A OLD -m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN",
      "-A OLD -g NEW",
      `-A SENDS ${allowed("dst")}`,
      "-A SENDS -j DROP",
      `-A GETS ${allowed("src")}`,
      "-A GETS -j DROP",
      "COMMIT",
      "",
    ].join("\n"),
  };
}
