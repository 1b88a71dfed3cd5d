/**
 * What a packet pays for the node firewall: nanoseconds over connection tracking with one rule.
 *
 * Method. A client's network namespace, a node that forwards, a server's namespace; three of their own for each
 * ruleset:
 *   floor     `-s 192.0.2.1 -m conntrack --ctstate INVALID -j DROP`: connections are tracked, the rule ends with its
 *             first compare. Says what the baseline's own rule costs.
 *   baseline  `-m conntrack --ctstate INVALID -j DROP`: what the others are compared with.
 *   tierwall  what the enforcer writes for the node's state.
 *   least     what no ruleset with the same verdicts can do without: see packet-cost/least-ruleset.ts;
 *   plain     the yardstick: the same policies with a jump per pod, a chain per policy, a set per rule.
 * The sender writes UDP frames of 60 bytes to the client's end of a veth, many a system call. The kernel runs the
 * node's path within that call, up to the server's end, which drops the frame at first sight: so the time of the call,
 * by the number of frames, is the path's, on one processor. Three kinds of packets:
 *   established  of a flow that was seen in both directions;
 *   new, one     each from a source port of its own, from elsewhere to an isolated pod: ingress is judged;
 *   new, both    the same between two isolated pods of the node: egress and ingress are judged.
 * Before each burst connection tracking is emptied, so each node tracks as many connections as the others, and the
 * first packets are not timed. The nodes take turns, burst by burst, each first equally often; nobody else gets the
 * processor during a burst. Bursts are short, 64 packets, and many: on a machine that does other things as well, some
 * are left alone. A round is 100 bursts of each node, of which the calmest twentieth counts; a figure is the difference
 * to the baseline's of the same round; the table has the median of the rounds, and the least and the most.
 * The pods of the flow are the node's last, and of their policies the last one allows: see packet-cost/cluster.ts.
 * `policies` is of the cluster, `each` how many select each pod, per direction. The plain ruleset has chains for all,
 * Tierwall only for those of the node's pods. The last size has every policy on this node.
 * The run fails if a node forwards a packet too few, or one of a sender that no policy allows.
 * The first use of an extension on a packet's way costs up to twice what each further one does, so these figures
 * are above the sum of what single rules cost in a loop. The path's own time is printed to compare machines by.
 *
 * `--quick` takes the smallest and the largest size only, in fewer rounds.
 * `--rules` measures what single rules cost on this machine, to compare it with others. The targets come from one on
 * which a look into a set costs some 110 ns, a test of a port 22 (legacy) or 13 (nft), a compare of an address 1.6 or
 * 3.4, and a test of the connection's mark 24 or 44.
 */
import { rm } from "node:fs/promises";
import { ownedFolder } from "../lab/owner.ts";
import { buildSender } from "./packet-cost/build-sender.ts";
import type { Size } from "./packet-cost/cluster.ts";
import { cluster } from "./packet-cost/cluster.ts";
import { removeOrphans } from "./packet-cost/node-network.ts";
import { printPrices, Report } from "./packet-cost/report.ts";
import type { Effort } from "./packet-cost/trial.ts";
import { rulePrices } from "./packet-cost/rule-prices.ts";
import { rulesets } from "./packet-cost/rulesets.ts";
import { trial } from "./packet-cost/trial.ts";

/** A tier's own policy, another team's, and the namespace's default. */
const PER_POD = 3;
const PODS = [30, 110, 250];
const POLICIES = [200, 1_000, 5_000];
const DENSE: Size = { pods: 30, policies: 1_000, perPod: 67 };

const quick = process.argv.includes("--quick");
const all = PODS.flatMap((pods) => POLICIES.map((policies): Size => ({ pods, policies, perPod: PER_POD })));
const sizes = quick ? [all.at(0), all.at(-1)].filter((size) => size !== undefined) : [...all, DENSE];
const effort: Effort = { rounds: quick ? 5 : 9 };

const print = (line: string) => process.stdout.write(`${line}\n`);
const BACKENDS = ["legacy", "nft"] as const;

await removeOrphans();
const folder = await ownedFolder("tierwall-packet-cost-");
try {
  const sender = await buildSender();
  if (process.argv.includes("--rules")) {
    for (const backend of BACKENDS) {
      printPrices(print, backend, await rulePrices(sender, folder, backend, cluster(DENSE).flow, effort));
    }
  } else {
    const report = new Report(print);
    for (const backend of BACKENDS) {
      for (const size of sizes) {
        const among = cluster(size);
        report.add(backend, size, await trial(sender, folder, among.flow, rulesets(backend, among), effort));
      }
    }
    report.end();
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
