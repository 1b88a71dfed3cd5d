import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { ADDRESSES } from "../bed/address-plan.ts";
import type { Scene } from "./scene.ts";

/** Something that somebody else does to our rules. */
export interface Damage {
  readonly name: string;
  /** Until it is repaired, what is denied passes, or what is allowed does not. */
  readonly effect: "opens" | "closes";
  readonly backends: readonly Backend[];
  readonly harm: (scene: Scene, backend: Backend) => Promise<unknown>;
}

const BOTH: readonly Backend[] = ["nft", "legacy"];

/** Written by somebody who takes the table for his own. */
const CLOBBER = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:THEIRS - [0:0]
-A FORWARD -j THEIRS
-A THEIRS -p tcp -m tcp --dport 9 -j DROP
COMMIT
`;

/** What may happen to the rules of a node on which `e` may not talk to `a`, and others may. */
export const DAMAGES: readonly Damage[] = [
  {
    name: "iptables -F FORWARD", effect: "opens", backends: BOTH,
    harm: (scene, backend) => scene.onNode(scene.iptables(backend), "-F", "FORWARD"),
  },
  {
    name: "iptables -F", effect: "opens", backends: BOTH,
    harm: (scene, backend) => scene.onNode(scene.iptables(backend), "-F"),
  },
  {
    name: "iptables -D of the jumps", effect: "opens", backends: BOTH,
    harm: async (scene, backend) => {
      // Each alone still leads new connections to be judged.
      await dropLine(scene, backend, /^-A FORWARD .*-j TW-FWD$/);
      await dropLine(scene, backend, /^-A FORWARD .*-j TW-EST$/);
    },
  },
  {
    name: "an ACCEPT of somebody before the jump", effect: "opens", backends: ["nft"],
    harm: (scene, backend) => scene.onNode(scene.iptables(backend), "-I", "FORWARD", "1", "-j", "ACCEPT"),
  },
  {
    name: "a chain of ours that is flushed", effect: "opens", backends: ["nft"],
    harm: (scene, backend) => scene.onNode(scene.iptables(backend), "-F", "TW-I"),
  },
  {
    name: "the line that denies deleted", effect: "opens", backends: BOTH,
    harm: async (scene, backend) => await dropLine(scene, backend, /^-A TW-C.* -g TW-DROP$/),
  },
  {
    name: "the line that allows deleted", effect: "closes", backends: ["nft"],
    harm: async (scene, backend) => await dropLine(scene, backend, /^-A TW-C.* -j RETURN$/),
  },
  {
    name: "a bogus entry in a set", effect: "opens", backends: ["nft"],
    harm: async (scene) => await scene.onNode("ipset", "add", await ourSet(scene), ADDRESSES.e[scene.family]),
  },
  {
    name: "a flushed set", effect: "closes", backends: ["nft"],
    harm: async (scene) => await scene.onNode("ipset", "flush", await ourSet(scene)),
  },
  {
    name: "a set swapped for one with room for one member", effect: "closes", backends: ["nft"],
    harm: async (scene) => {
      const inet = scene.family === "ipv4" ? "inet" : "inet6";
      const name = await ourSet(scene);
      await scene.onNode("ipset", "create", "small", "hash:ip", "family", inet, "maxelem", "1");
      await scene.onNode("ipset", "swap", "small", name);
      await scene.onNode("ipset", "destroy", "small");
    },
  },
  // These take others' rules too: they come last.
  {
    name: "an iptables-restore that flushes", effect: "opens", backends: BOTH,
    harm: (scene, backend) => scene.bed.network.run("left", [`${scene.iptables(backend)}-restore`], CLOBBER),
  },
  {
    name: "nft flush ruleset", effect: "opens", backends: ["nft"],
    harm: (scene) => scene.onNode("nft", "flush", "ruleset"),
  },
];

async function dropLine(scene: Scene, backend: Backend, pattern: RegExp): Promise<void> {
  const line = (await scene.tables(backend)).find((each) => pattern.test(each));
  if (line === undefined) throw new Error(`no line ${pattern}`);
  await scene.onNode(scene.iptables(backend), "-D", ...line.split(" ").slice(1));
}

async function ourSet(scene: Scene): Promise<string> {
  const names = (await scene.onNode("ipset", "list", "-n")).split("\n");
  const name = names.find((each) => each.startsWith("TW-u"));
  if (name === undefined) throw new Error("no set of ours");
  return name;
}
