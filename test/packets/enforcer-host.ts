/** Runs a Firewall inside a node's network namespace: one state a line on stdin, one answer a line on stdout. */
import { createInterface } from "node:readline";
import type { NodeState } from "../../operator/api/node-state.ts";
import { Firewall } from "../../operator/enforcer/firewall.ts";
import { CommandNetfilter } from "../../operator/enforcer/netfilter/command-netfilter.ts";
import { readState } from "./enforcer-state.ts";

export type FirewallOrder = { readonly do: "prepare" } | { readonly do: "apply" | "verify"; readonly state: unknown };

if (import.meta.main) {
  const firewall = new Firewall(new CommandNetfilter("nft"), "ipv4");
  const { signal } = new AbortController();
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, order } = JSON.parse(line) as { id: number; order: FirewallOrder };
    const outcome = await carryOut(firewall, order, signal).catch((error: unknown) => ({ error: String(error) }));
    process.stdout.write(`${JSON.stringify({ id, outcome })}\n`);
  }
  process.exit(0);
}

async function carryOut(firewall: Firewall, order: FirewallOrder, signal: AbortSignal): Promise<unknown> {
  if (order.do === "prepare") return await firewall.prepare(signal);
  const state: NodeState = readState(order.state);
  const applied = order.do === "apply" ? await firewall.apply(state, signal) : await firewall.verify(state, signal);
  await firewall.sweep(signal);
  return applied;
}
