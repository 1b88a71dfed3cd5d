/** Looks at the node from inside its network namespace: pods' addresses in, findings out, one line each way. */
import { createInterface } from "node:readline";
import { LinuxHost } from "../../operator/enforcer/host.ts";

export interface LookOrder {
  readonly pods: readonly string[];
}

export interface Look {
  readonly bridged: boolean;
  /** Reason, and whether the rules hold all the same. */
  readonly findings: readonly (readonly [string, boolean])[];
}

const host = new LinuxHost();
process.stdout.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  const { id, order } = JSON.parse(line) as { id: number; order: LookOrder };
  const { bridged, findings } = await host.look(new Set(order.pods));
  const outcome: Look = { bridged, findings: findings.map(({ reason, holds }) => [reason, holds]) };
  process.stdout.write(`${JSON.stringify({ id, outcome })}\n`);
}
process.exit(0);
