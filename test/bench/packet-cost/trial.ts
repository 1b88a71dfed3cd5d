import { fileURLToPath } from "node:url";
import { output } from "../../lab/command.ts";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import type { Cluster } from "./cluster.ts";
import { stateOf } from "./cluster.ts";
import { burstsOf } from "./figures.ts";
import type { Times } from "./figures.ts";
import { NodeNetwork } from "./node-network.ts";
import { plainRuleset } from "./plain-ruleset.ts";

/** Rulesets that are compared. `floor` tracks connections, but its one rule ends with its first compare. */
export const VARIANTS = ["floor", "baseline", "tierwall", "plain"] as const;
export type Variant = (typeof VARIANTS)[number];

export interface Effort {
  readonly rounds: number;
  /** Packets a burst. */
  readonly burst: number;
}

/** Packets of the denied sender, which only rulesets that enforce nothing forward: see sender/main.go. */
const DENIED_PACKETS = 64;
const ENFORCE = fileURLToPath(new URL("enforce.ts", import.meta.url));
/** The last one: interrupts tend to be on the first. */
const PROCESSOR = String(navigator.hardwareConcurrency - 1);

/** Sends the same packets through a node of each variant, in turns. @throws Error if one forwards what it must not. */
export async function trial(
  sender: string,
  folder: string,
  backend: Backend,
  cluster: Cluster,
  { rounds, burst }: Effort,
): Promise<ReadonlyMap<Variant, Times>> {
  const networks: NodeNetwork[] = [];
  try {
    for (const variant of VARIANTS) {
      const network = await NodeNetwork.create(`${backend}-${variant}`, cluster.flow, folder);
      networks.push(network);
      await install(network, variant, backend, cluster);
    }
    const nodes = networks.map(({ client, node }) => ({ client, node }));
    const order = { nodes, ...cluster.flow, rounds: burstsOf(rounds), burst };
    const text = await output(["taskset", "-c", PROCESSOR, sender], {
      input: JSON.stringify(order),
      env: { GODEBUG: "asyncpreemptoff=1" },
      timeoutMs: 300_000,
    });
    const times = JSON.parse(text) as readonly Times[];
    const found = times.map((entry, index): [Variant, Times] => [VARIANTS[index] ?? "floor", entry]);
    for (const [index, [variant, { sent }]] of found.entries()) {
      const forwarded = await networks[index]?.forwarded();
      const expected = sent + (variant === "floor" || variant === "baseline" ? DENIED_PACKETS : 0);
      if (forwarded !== expected) {
        throw new Error(`${backend} ${variant} forwarded ${forwarded} packets, and should have ${expected}`);
      }
    }
    return new Map(found);
  } finally {
    for (const network of networks) await network.remove();
  }
}

async function install(network: NodeNetwork, variant: Variant, backend: Backend, cluster: Cluster): Promise<void> {
  const append = [`iptables-${backend}`, "-w", "-A", "FORWARD"];
  const invalid = ["-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"];
  switch (variant) {
    case "floor":
      await network.run([...append, "-s", "192.0.2.1", ...invalid]);
      return;
    case "baseline":
      await network.run([...append, ...invalid]);
      return;
    case "tierwall":
      await network.run([process.execPath, ENFORCE, backend], JSON.stringify(stateOf(cluster)));
      return;
    case "plain": {
      const { sets, rules } = plainRuleset(cluster);
      await network.run(["ipset", "restore"], sets);
      await network.run([`iptables-${backend}-restore`, "-w"], rules);
    }
  }
}
