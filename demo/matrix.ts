import type { Narrator } from "./narrator.ts";

export type Reach = "open" | "refused" | "dropped";

/** One place that can be reached, `shop-dev/backend:8080`. */
export interface Target {
  readonly name: string;
  readonly port: number;
}

/** Who (rows) reached what (columns). */
export interface Matrix {
  readonly clients: readonly string[];
  readonly targets: readonly Target[];
  /** By client, in the order of `targets`. */
  readonly reached: ReadonlyMap<string, readonly Reach[]>;
}

/** `expected(client, target)` says whether a connection should come about. */
export type Expectation = (client: string, target: Target) => boolean;

const SIGN: Readonly<Record<Reach, string>> = { open: "open", refused: "refused", dropped: "·" };

/** Prints the matrix, surprises marked, and returns how many cells were not as expected. */
export function printMatrix(narrator: Narrator, { clients, targets, reached }: Matrix, expected: Expectation): number {
  const labels = targets.map(({ name, port }) => `${name}:${port}`);
  const left = Math.max(...clients.map((client) => client.length), 7) + 2;
  const widths = labels.map((label) => label.length + 2);
  narrator.output(["from \\ to".padEnd(left), ...labels.map((label, index) => label.padEnd(widths[index] ?? 0))].join("").trimEnd());
  let surprises = 0;
  for (const client of clients) {
    const cells = targets.map((target, index) => {
      const reach = reached.get(client)?.[index] ?? "dropped";
      const asExpected = (reach === "open") === expected(client, target);
      if (!asExpected) surprises += 1;
      const text = (asExpected ? SIGN[reach] : `${SIGN[reach]} (!)`).padEnd(widths[index] ?? 0);
      return narrator.paint(asExpected ? (reach === "open" ? "open" : "dropped") : "surprise", text);
    });
    narrator.output([client.padEnd(left), ...cells].join("").trimEnd());
  }
  return surprises;
}
