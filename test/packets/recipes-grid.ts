import type { Probe } from "./bed/prober.ts";

/** A kind of packet that a matrix asks about. */
export type Shot = Pick<Probe, "protocol" | "port">;

/** One question of a matrix with its answer. Roles are named as in the matrix. */
export interface Expectation extends Shot {
  readonly from: string;
  readonly to: string;
  readonly open: boolean;
}

/**
 * Reads a matrix as people write it: a row for each client, a column for each server, and in a cell the ports that are
 * open from the one to the other.
 *
 *     from  web   db
 *     web   .     5432
 *     db    -     .
 *
 * `80` is TCP, `53/udp` and `icmp` say what they are; `-` none of `ports`, `all` every one, `.` not asked.
 * @param ports all that are asked about in every cell
 * @throws Error for a cell that cannot be read, and for a row or column that is missing
 */
export function readGrid(matrix: string, roles: readonly string[], ports: readonly string[]): readonly Expectation[] {
  const [head = [], ...rows] = matrix.split("\n").map(wordsOf).filter((words) => words.length > 0);
  const [, ...columns] = head;
  mustBe("columns", columns, roles);
  mustBe("rows", rows.map(([name = ""]) => name), roles);
  return rows.flatMap(([from = "", ...cells]) => {
    if (cells.length !== columns.length) throw new Error(`row ${from} has ${cells.length} cells`);
    return columns.flatMap((to, index) => expectationsOf({ from, to }, cells[index] ?? "", ports));
  });
}

function expectationsOf(
  pair: { readonly from: string; readonly to: string },
  cell: string,
  ports: readonly string[],
): readonly Expectation[] {
  if (cell === ".") return [];
  const open = cell === "-" ? [] : cell === "all" ? ports : cell.split(",");
  const strange = open.filter((port) => !ports.includes(port));
  if (strange.length > 0) throw new Error(`${pair.from} → ${pair.to}: nobody asks about ${strange.join(", ")}`);
  return ports.map((port) => ({ ...pair, ...shotOf(port), open: open.includes(port) }));
}

function shotOf(text: string): Shot {
  if (text === "icmp") return { protocol: "ICMP" };
  const [port = "", protocol = "tcp"] = text.split("/");
  if (!/^\d+$/.test(port) || (protocol !== "tcp" && protocol !== "udp")) throw new Error(`${text} is no port`);
  return { protocol: protocol === "udp" ? "UDP" : "TCP", port: Number(port) };
}

function mustBe(what: string, names: readonly string[], roles: readonly string[]): void {
  const [found, wanted] = [names, roles].map((list) => list.toSorted().join(" "));
  if (found !== wanted) throw new Error(`the ${what} are ${found}, the cast is ${wanted}`);
}

function wordsOf(line: string): readonly string[] {
  return line.trim().split(/\s+/).filter((word) => word !== "");
}
