import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { CASES, HELD_ELSEWHERE } from "../cases/index.ts";
import { rawCluster } from "../cases/raw-cluster.ts";
import { planOf } from "./bed/address-plan.ts";
import { ServicePlane } from "./bed/service-plane.ts";
import { FULL } from "../depth.ts";
import { type Combination, everyCombination, fullTable, pairsOf, pairwise, title } from "./matrix-combinations.ts";
import { applicable, MatrixColumn, worthwhile } from "./matrix-column.ts";
import { MatrixReport } from "./matrix-report.ts";

const columns = FULL ? fullTable() : pairwise();
const numbers = Array.from({ length: 32 }, (_, index) => index + 1);
const report = new MatrixReport(numbers, columns, HELD_ELSEWHERE);
const path = fileURLToPath(new URL(`../report/matrix${FULL ? "-full" : ""}.md`, import.meta.url));
const rowsOf = (column: Combination) => applicable(column, FULL ? CASES : worthwhile(column, CASES));
/** Playing is mostly waiting for silence: while one column is looked at, the next is under way. */
const atOnce = 2;

describe("every case, seen by packets", function () {
  this.timeout(120_000);
  const played: MatrixColumn[] = [];
  let services: ServicePlane;

  before(async () => {
    services = await ServicePlane.start(CASES.flatMap(servicesOf));
  });

  it("the combinations hold every two values together", () => {
    const held = new Set(columns.flatMap(pairsOf));
    assert.deepEqual(everyCombination().flatMap(pairsOf).filter((pair) => !held.has(pair)), []);
  });

  for (const [index, column] of columns.entries()) {
    describe(title(column), () => {
      before(() => {
        for (let next = index; next < Math.min(index + atOnce, columns.length); next += 1) {
          const combination = columns[next];
          if (combination === undefined || played[next] !== undefined) continue;
          played[next] = new MatrixColumn(combination, rowsOf(combination), services);
        }
      });

      for (const row of rowsOf(column)) {
        it(`${row.case}: ${row.name}`, async () => {
          const outcome = played[index]?.outcome(row);
          await outcome?.then(
            (packets) => report.passed(row.case, column, packets),
            () => report.failed(row.case, column, row.name),
          );
          await outcome;
        });
      }

      after(async () => await played[index]?.end());
    });
  }

  describe("the table", () => {
    it("has no empty cell", () => {
      assert.deepEqual(report.empty(), []);
    });
  });

  after(async () => {
    await Promise.all(played.map((column) => column.end()));
    await services.stop();
    await report.write(path);
    process.stdout.write(`    the whole table: ${path}\n`);
  });
});

function servicesOf(row: (typeof CASES)[number]): ReturnType<typeof rawCluster>["services"] {
  const plan = planOf(["ipv4"]);
  const drafts = "steps" in row ? row.steps.flatMap((step) => ("apply" in step ? [step.apply] : [])) : [row.cluster];
  return drafts.flatMap((draft) => rawCluster(draft, plan).services);
}
