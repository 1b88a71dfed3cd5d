import { createInterface } from "node:readline";

/** The other end of a `LineWorker`: obeys one order a line, one after the other, and ends with its input. */
export async function obeyOrders<Order>(obey: (order: Order) => Promise<unknown>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, ...order } = JSON.parse(line) as { readonly id: number };
    const answer = await obey(order as Order).then(
      (outcome) => ({ id, outcome: outcome ?? true }),
      (error: unknown) => ({ id, failure: error instanceof Error ? error.message : String(error) }),
    );
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}
