/** Runs a Netfilter inside a network namespace: one request a line on stdin, one answer a line on stdout. */
import { createInterface } from "node:readline";
import { CommandNetfilter } from "../../operator/enforcer/netfilter/command-netfilter.ts";
import type { Backend, Netfilter } from "../../operator/enforcer/netfilter/netfilter.ts";
import { WarmNetfilter } from "../../operator/enforcer/netfilter/warm-netfilter.ts";

export type KernelOrder =
  | { readonly do: "sets" | "rules"; readonly text: string }
  | { readonly do: "read" }
  | { readonly do: "holds"; readonly mark: string };

if (import.meta.main) {
  const [kind, backend] = process.argv.slice(2) as ["cold" | "warm", Backend];
  const cold = new CommandNetfilter(backend);
  const netfilter = kind === "warm" ? new WarmNetfilter(cold) : cold;
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, order } = JSON.parse(line) as { id: number; order: KernelOrder };
    process.stdout.write(`${JSON.stringify({ id, outcome: await carryOut(netfilter, order) })}\n`);
  }
  process.exit(0);
}

/** What the order answers, as JSON can say it; `"refused"` where it throws. */
export async function carryOut(netfilter: Netfilter, order: KernelOrder): Promise<unknown> {
  const { signal } = new AbortController();
  try {
    switch (order.do) {
      case "sets":
        await netfilter.restoreSets(order.text, signal);
        return "done";
      case "rules":
        await netfilter.restoreRules("ipv4", order.text, signal);
        return "done";
      case "holds":
        return await netfilter.connectionHolds("ipv4", order.mark, signal);
      case "read": {
        const { chains, hooks, sets } = await netfilter.read("ipv4", signal);
        const members = [...sets].map(([name, set]) => [name, set.type, [...set.members].toSorted()]);
        return { chains: [...chains].toSorted(), hooks: [...hooks], sets: members.toSorted() };
      }
    }
  } catch {
    return "refused";
  }
}
