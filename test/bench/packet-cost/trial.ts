import { output } from "../../lab/command.ts";
import type { Flow } from "./cluster.ts";
import { burstsOf } from "./figures.ts";
import type { Times } from "./figures.ts";
import { NodeNetwork } from "./node-network.ts";

/** A ruleset that takes turns with others. */
export interface Subject<Name extends string = string> {
  readonly name: Name;
  readonly install: (network: NodeNetwork) => Promise<void>;
  /** It lets the denied sender through. */
  readonly open?: true;
}

/** How often each ruleset has its turn. */
export interface Effort {
  readonly rounds: number;
}

/** Packets of the denied sender, which only rulesets that enforce nothing forward: see sender/main.go. */
const DENIED_PACKETS = 64;
/** Packets that are timed together. Short: what else the machine does then leaves many bursts alone. */
const BURST = 64;
/** The last one: interrupts tend to be on the first. */
const PROCESSOR = String(navigator.hardwareConcurrency - 1);

/** Sends the same packets through a node of each ruleset, in turns. @throws Error if one forwards what it must not. */
export async function trial<Name extends string>(
  sender: string,
  folder: string,
  flow: Flow,
  subjects: readonly Subject<Name>[],
  { rounds }: Effort,
): Promise<ReadonlyMap<Name, Times>> {
  const networks: NodeNetwork[] = [];
  try {
    for (const [index, { install }] of subjects.entries()) {
      const network = await NodeNetwork.create(String(index), flow, folder);
      networks.push(network);
      await install(network);
    }
    const nodes = networks.map(({ client, node }) => ({ client, node }));
    const text = await output(["taskset", "-c", PROCESSOR, sender], {
      input: JSON.stringify({ nodes, ...flow, rounds: burstsOf(rounds), burst: BURST }),
      env: { GODEBUG: "asyncpreemptoff=1" },
      timeoutMs: 300_000,
    });
    const times = JSON.parse(text) as readonly Times[];
    const found = new Map<Name, Times>();
    for (const [index, { name, open }] of subjects.entries()) {
      const entry = times[index];
      if (entry === undefined) throw new Error(`the sender measured nothing for ${name}`);
      const forwarded = await networks[index]?.forwarded();
      const expected = entry.sent + (open === true ? DENIED_PACKETS : 0);
      if (forwarded !== expected) {
        throw new Error(`${name} forwarded ${forwarded} packets, and should have ${expected}`);
      }
      found.set(name, entry);
    }
    return found;
  } finally {
    for (const network of networks) await network.remove();
  }
}
