import type { Narrator } from "./narrator.ts";

export type Reach = "open" | "refused" | "dropped";

/** One place that can be reached. */
export interface Target {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/** Who (rows, `<namespace>/<pod>`) reached what (columns). */
export interface Matrix {
  readonly clients: readonly string[];
  /** Those of one namespace stand together. */
  readonly targets: readonly Target[];
  /** By client, in the order of `targets`. */
  readonly reached: ReadonlyMap<string, readonly Reach[]>;
}

/** Whether a connection should come about. */
export type Expectation = (client: string, target: Target) => boolean;

const SIGN: Readonly<Record<Reach, string>> = { open: "open", refused: "refused", dropped: "·" };

/** Prints the matrix, surprises marked. @returns how many cells were not as expected */
export function printMatrix(narrator: Narrator, { clients, targets, reached }: Matrix, expected: Expectation): number {
  const left = Math.max(...clients.map((client) => client.length), "from \\ to".length) + 3;
  const widths = targets.map(({ namespace, pod, port }, index) => {
    const alone = targets[index + 1]?.namespace !== namespace && targets[index - 1]?.namespace !== namespace;
    return Math.max(`${pod}:${port}`.length, alone ? namespace.length : 0) + 2;
  });
  const width = (index: number) => widths[index] ?? 0;
  const groups = targets.map(({ namespace }, index) =>
    (namespace === targets[index - 1]?.namespace ? "" : namespace).padEnd(width(index)),
  );
  narrator.output(`${"from \\ to".padEnd(left)}${joinGroups(groups, widths)}`.trimEnd());
  narrator.output(
    `${" ".repeat(left)}${targets.map(({ pod, port }, index) => `${pod}:${port}`.padEnd(width(index))).join("")}`.trimEnd(),
  );
  let surprises = 0;
  for (const client of clients) {
    const cells = targets.map((target, index) => {
      const reach = reached.get(client)?.[index] ?? "dropped";
      const asExpected = (reach === "open") === expected(client, target);
      if (!asExpected) surprises += 1;
      const text = (asExpected ? SIGN[reach] : `${SIGN[reach]} (!)`).padEnd(width(index));
      return narrator.paint(asExpected ? (reach === "open" ? "open" : "dropped") : "surprise", text);
    });
    narrator.output([client.padEnd(left), ...cells].join("").trimEnd());
  }
  return surprises;
}

/** How many pairs are open, of how many. */
export function countOpen({ reached }: Matrix): { readonly open: number; readonly pairs: number } {
  const cells = [...reached.values()].flat();
  return { open: cells.filter((reach) => reach === "open").length, pairs: cells.length };
}

/** A namespace's name may be longer than its first column: it then runs on over the empty ones behind. */
function joinGroups(groups: readonly string[], widths: readonly number[]): string {
  let line = "";
  let end = 0;
  groups.forEach((group, index) => {
    if (group.trim() !== "") line = line.padEnd(end) + group.trimEnd();
    end += widths[index] ?? 0;
  });
  return line;
}
