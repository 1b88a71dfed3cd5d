import type { NodeState } from "../../../operator/api/node-state.ts";
import type { FamilyPlan } from "../../../operator/enforcer/family-firewall.ts";
import { FamilyFirewall } from "../../../operator/enforcer/family-firewall.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import type { Netfilter } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import type { FakeNetfilter } from "./fake-netfilter.ts";

/** Of a firewall to which nothing happens by itself. */
export const PLAN: FamilyPlan = {
  options: DEFAULT_OPTIONS, mask: 0xffff0000, ownAddresses: new Set(), leaversMs: 0, monotonic: () => 0,
};

/** One pod that these peers may talk to. */
export function guarded(peers: readonly string[]): NodeState {
  return nodeState({
    pods: { db: { address: "10.1.0.5", ingress: ["db"] } },
    policies: { db: { ingress: [{ peers: ["peers"] }] } },
    peers: { peers },
  });
}

/** The IPv4 firewall of a node, ready for its first state. */
export async function started(kernel: Netfilter, change: Partial<FamilyPlan> = {}): Promise<FamilyFirewall> {
  const firewall = new FamilyFirewall(kernel, "ipv4", { ...PLAN, ...change });
  await firewall.prepare(new AbortController().signal);
  return firewall;
}

/** The mark of the generation that counts in the kernel. */
export async function generationIn(kernel: FakeNetfilter): Promise<string | undefined> {
  return (await kernel.read("ipv4")).hooks.get("FORWARD")?.lines.at(-1)?.match(/--mark (\S+)/)?.[1];
}
