import type { CaseRow, StepRow } from "../cases/case.ts";
import { planOf } from "./bed/address-plan.ts";
import { Bed } from "./bed/bed.ts";
import type { ServicePlane } from "./bed/service-plane.ts";
import { ServiceProxy } from "./bed/service-proxy.ts";
import { type Combination, familiesOf, LACKS } from "./matrix-combinations.ts";
import { play, type Stage } from "./matrix-row.ts";

type Row = CaseRow | StepRow;

/**
 * The rows that a column of the small table plays. Without marks nothing is different for a connection's first packet
 * but who asks: one row of each case does, and all in which connections live on.
 */
export function worthwhile({ layout }: Combination, rows: readonly Row[]): readonly Row[] {
  if (layout !== "no marks") return rows;
  return rows.filter((row, index) => "steps" in row || row.case !== rows[index - 1]?.case);
}

/** The rows that hold in a column. */
export function applicable({ layout }: Combination, rows: readonly Row[]): readonly Row[] {
  return rows.filter(({ needs = [] }) => !needs.some((extension) => LACKS[layout].includes(extension)));
}

/** All rows of one combination, played one after the other in a bed of its own while others are looked at. */
export class MatrixColumn {
  readonly #outcomes = new Map<Row, PromiseWithResolvers<number>>();
  readonly #done: Promise<void>;

  constructor(column: Combination, rows: readonly Row[], services: ServicePlane) {
    for (const row of rows) {
      const outcome = Promise.withResolvers<number>();
      // Looked at later, or, after a run that was cut short, never.
      outcome.promise.catch(() => undefined);
      this.#outcomes.set(row, outcome);
    }
    this.#done = this.#playAll(column, services);
  }

  /** How many packets of the row were judged. @throws AssertionError if one went another way */
  async outcome(row: Row): Promise<number> {
    const outcome = this.#outcomes.get(row);
    if (outcome === undefined) throw new Error(`row ${row.name} is not in this column`);
    return await outcome.promise;
  }

  /** Resolves when nothing is left of it on the machine. */
  async end(): Promise<void> {
    await this.#done;
  }

  async #playAll(column: Combination, services: ServicePlane): Promise<void> {
    try {
      const bed = await Bed.create(column.wiring);
      try {
        await this.#playIn(bed, column, services);
      } finally {
        await bed.remove();
      }
    } catch (error) {
      for (const { reject } of this.#outcomes.values()) reject(error);
    }
  }

  async #playIn(bed: Bed, column: Combination, services: ServicePlane): Promise<void> {
    const proxy = await ServiceProxy.start(bed, services, column.backend);
    try {
      await bed.install({ backend: column.backend, lacks: LACKS[column.layout] });
      const stage: Stage = {
        bed,
        plan: planOf(familiesOf(column)),
        serviceAddress: (service) => services.address(service),
        cutsServers: (protocol) => protocol === "TCP" || !LACKS[column.layout].includes("connmark"),
      };
      for (const [row, { resolve, reject }] of this.#outcomes) await play(row, stage).then(resolve, reject);
    } finally {
      await proxy.stop();
    }
  }
}
