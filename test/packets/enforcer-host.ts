/** Runs the firewall inside a node's network namespace: one order a line on stdin, one answer a line on stdout. */
import { createInterface } from "node:readline";
import { DEFAULT_ENFORCER_SETTINGS } from "../../operator/api/enforcer-settings.ts";
import { LinuxHost } from "../../operator/enforcer/host.ts";
import { chooseBackend } from "../../operator/enforcer/netfilter/backend-choice.ts";
import { CommandNetfilter } from "../../operator/enforcer/netfilter/command-netfilter.ts";
import { WarmNetfilter } from "../../operator/enforcer/netfilter/warm-netfilter.ts";
import type { NodeSettings } from "../../operator/enforcer/node-firewall.ts";
import { NodeFirewall } from "../../operator/enforcer/node-firewall.ts";
import { readState } from "./enforcer-state.ts";

export type FirewallOrder =
  | { readonly do: "prepare"; readonly settings?: Partial<NodeSettings> }
  | { readonly do: "apply" | "verify"; readonly state: unknown };

if (import.meta.main) {
  const firewall = new NodeFirewall({
    netfilter: (backend) => new WarmNetfilter(new CommandNetfilter(backend)),
    chooseBackend,
    host: new LinuxHost(),
    monotonic: () => performance.now(),
  });
  const { signal } = new AbortController();
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, order } = JSON.parse(line) as { id: number; order: FirewallOrder };
    const outcome = await carryOut(firewall, order, signal).catch((error: unknown) => ({ error: String(error) }));
    process.stdout.write(`${JSON.stringify({ id, outcome })}\n`);
  }
  process.exit(0);
}

async function carryOut(firewall: NodeFirewall, order: FirewallOrder, signal: AbortSignal): Promise<unknown> {
  if (order.do === "prepare") {
    await firewall.prepare({ ...DEFAULT_ENFORCER_SETTINGS, leaversMs: 0, podCIDRs: [], ...order.settings }, signal);
    return { backend: firewall.backend };
  }
  const state = readState(order.state);
  const applied = order.do === "apply" ? await firewall.apply(state, signal) : await firewall.verify(state, signal);
  await firewall.sweep(signal);
  return applied;
}
