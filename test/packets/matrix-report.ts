import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Columns, HeldElsewhere } from "../cases/case.ts";
import { type Combination, familiesOf, title } from "./matrix-combinations.ts";

export type Cell =
  | { readonly kind: "passed"; readonly rows: number; readonly packets: number }
  | { readonly kind: "failed"; readonly rows: readonly string[] }
  /** The case has no rows. */
  | { readonly kind: "tested elsewhere" }
  | { readonly kind: "not played"; readonly why: string };

interface Tally {
  passed: number;
  packets: number;
  readonly failed: string[];
}

/** Case × combination, each cell with what became of the case's rows there; and what tests hold that rows cannot. */
export class MatrixReport {
  readonly #cases: readonly number[];
  readonly #columns: readonly Combination[];
  readonly #elsewhere: ReadonlyMap<number, HeldElsewhere>;
  readonly #tallies = new Map<string, Tally>();

  constructor(cases: readonly number[], columns: readonly Combination[], elsewhere: readonly HeldElsewhere[]) {
    this.#cases = cases;
    this.#columns = columns;
    this.#elsewhere = new Map(elsewhere.map((held) => [held.case, held]));
  }

  passed(number: number, column: Combination, packets: number): void {
    const tally = this.#tally(number, column);
    tally.passed += 1;
    tally.packets += packets;
  }

  failed(number: number, column: Combination, row: string): void {
    this.#tally(number, column).failed.push(row);
  }

  /** Cells about which nothing is known: a test that did not run is no test that passed. */
  empty(): readonly string[] {
    return this.#cases.flatMap((number) => this.#columns
      .filter((column) => this.#cell(number, column) === undefined)
      .map((column) => `case ${number}, ${title(column)}`));
  }

  async write(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, this.#markdown());
  }

  #markdown(): string {
    const notes: string[] = [];
    const note = (text: string): string => {
      if (!notes.includes(text)) notes.push(text);
      return `[${notes.indexOf(text) + 1}]`;
    };
    const words = (cell: Cell | undefined): string => {
      if (cell === undefined) return "**empty**";
      switch (cell.kind) {
        case "passed":
          return `passed: ${cell.rows} rows, ${cell.packets} packets`;
        case "failed":
          return `**failed** ${note(cell.rows.join("; "))}`;
        case "tested elsewhere":
          return "tested elsewhere";
        case "not played":
          return `not played ${note(cell.why)}`;
      }
    };
    const caseWords = (number: number): string => {
      const held = this.#elsewhere.get(number);
      return held === undefined ? String(number) : `${number} ${note(reasonOf(held))}`;
    };
    const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
    const table = [
      line(["case", ...this.#columns.map(title)]),
      line(["---", ...this.#columns.map(() => "---")]),
      ...this.#cases.map((number) => line([
        caseWords(number), ...this.#columns.map((column) => words(this.#cell(number, column))),
      ])),
    ];
    return [
      "# Cases, seen by packets", "", ...table, "", ...notes.map((text, index) => `[${index + 1}] ${text}  `), "",
    ].join("\n");
  }

  #cell(number: number, column: Combination): Cell | undefined {
    const tally = this.#tallies.get(key(number, column));
    if (tally === undefined) {
      // Rows that should have been played are excused by nothing.
      const held = this.#elsewhere.get(number);
      return held?.part === "whole" ? heldIn(held, column) : undefined;
    }
    if (tally.failed.length > 0) return { kind: "failed", rows: tally.failed };
    return { kind: "passed", rows: tally.passed, packets: tally.packets };
  }

  #tally(number: number, column: Combination): Tally {
    const known = this.#tallies.get(key(number, column));
    const tally = known ?? { passed: 0, packets: 0, failed: [] };
    this.#tallies.set(key(number, column), tally);
    return tally;
  }
}

/** What tests outside of the table do about a whole case in one column; `undefined` = nobody has said. */
export function heldIn({ plays = [], notPlayed = [] }: HeldElsewhere, column: Combination): Cell | undefined {
  if (plays.some((columns) => isIn(column, columns))) return { kind: "tested elsewhere" };
  const reason = notPlayed.find(({ where }) => isIn(column, where));
  return reason && { kind: "not played", why: reason.why };
}

function isIn(column: Combination, { backend, family, wiring, layout }: Columns): boolean {
  return (backend?.includes(column.backend) ?? true) &&
    (wiring?.includes(column.wiring) ?? true) &&
    (layout?.includes(column.layout) ?? true) &&
    (family?.some((each) => each === column.family || (each === "dual" && familiesOf(column).length === 1)) ?? true);
}

function reasonOf({ part, notByTable, heldBy }: HeldElsewhere): string {
  const what = part === "whole" ? notByTable : `beside its rows: ${notByTable}`;
  return `${what} (${heldBy.join(", ")})`;
}

function key(number: number, column: Combination): string {
  return `${number} ${title(column)}`;
}
