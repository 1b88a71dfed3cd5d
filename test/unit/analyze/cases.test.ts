import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { verdict, type Verdict } from "../../../operator/analyze/verdict.ts";
import type { AddressPlan, CasePacket, CaseRow, CaseStep, Family, StepRow } from "../../cases/case.ts";
import { familiesOf, filteredPacket, readCluster } from "../../cases/evaluation.ts";
import { CASES, HELD_ELSEWHERE } from "../../cases/index.ts";
import { rawCluster } from "../../cases/raw-cluster.ts";
import { fullTable, title } from "../../packets/matrix-combinations.ts";
import { heldIn } from "../../packets/matrix-report.ts";
import { plan } from "./plan.ts";

const FAMILIES: readonly (readonly Family[])[] = [["ipv4"], ["ipv6"], ["ipv4", "ipv6"]];
const NUMBERS = Array.from({ length: 32 }, (_, index) => index + 1);

describe("the evaluator says what every row promises", () => {
  for (const row of CASES) {
    it(`${row.case}: ${row.name}`, () => {
      for (const families of FAMILIES) {
        const addresses = plan(families);
        if ("steps" in row) play(row.steps, addresses);
        else assert.deepEqual(wrong(row.cluster, row.packets, addresses), []);
      }
    });
  }
});

describe("the table of cases", () => {
  for (const number of NUMBERS) {
    it(`has case ${number} with an open and a dropped packet, or a reason why it has no row`, () => {
      const rows = CASES.filter((row) => row.case === number);
      const outcomes = new Set(rows.flatMap((row) => outcomesOf(row)));
      const without = HELD_ELSEWHERE.some((held) => held.case === number && held.part === "whole");
      assert.deepEqual([...outcomes].toSorted(), without ? [] : [false, true]);
      // A row that can only be right proves nothing.
      for (const row of rows) assert.equal(new Set(outcomesOf(row)).size, 2, `${row.name}: one outcome only`);
    });
  }

  it("has no case beyond them, and no name twice in a case", () => {
    assert.deepEqual([...CASES, ...HELD_ELSEWHERE].filter((row) => !NUMBERS.includes(row.case)), []);
    const titles = CASES.map((row) => `${row.case}: ${row.name}`);
    assert.deepEqual(titles.filter((title, index) => titles.indexOf(title) !== index), []);
  });

  it("has one reason for a case, and tests that there are for each", () => {
    const numbers = HELD_ELSEWHERE.map((held) => held.case);
    assert.deepEqual(numbers.filter((number, index) => numbers.indexOf(number) !== index), []);
    assert.deepEqual(HELD_ELSEWHERE.filter(({ notByTable, heldBy }) => notByTable === "" || heldBy.length === 0), []);
    const files = HELD_ELSEWHERE.flatMap(({ heldBy }) => heldBy);
    assert.deepEqual(files.filter((file) => !existsSync(new URL(`../../../${file}`, import.meta.url))), []);
  });
});

describe("a case without rows", () => {
  for (const held of HELD_ELSEWHERE.filter(({ part }) => part === "whole")) {
    it(`${held.case} is played, or has a reason why it is not, in every column of the table`, () => {
      assert.deepEqual(fullTable().filter((column) => heldIn(held, column) === undefined).map(title), []);
    });
  }

  it("alone says so: of one with rows the table knows what was played", () => {
    const others = HELD_ELSEWHERE.filter(({ part }) => part === "rest");
    assert.deepEqual(others.filter(({ plays, notPlayed }) => plays !== undefined || notPlayed !== undefined), []);
  });
});

/** What is expected anywhere in the row, as passing or not. */
function outcomesOf(row: CaseRow | StepRow): readonly boolean[] {
  if (!("steps" in row)) return row.packets.map(({ expect }) => expect === "open");
  return row.steps.flatMap((step) => {
    if ("packets" in step) return step.packets.map(({ expect }) => expect === "open");
    return "ask" in step ? [step.expect === "answered"] : [];
  });
}

/** A connection passes for as long as the policies of the moment would let it be opened. */
function play(steps: readonly CaseStep[], addresses: AddressPlan): void {
  let cluster: CaseRow["cluster"] = { policies: {} };
  const flows = new Map<string, Omit<CasePacket, "expect">>();
  for (const step of steps) {
    if ("apply" in step) cluster = step.apply;
    else if ("packets" in step) assert.deepEqual(wrong(cluster, step.packets, addresses), []);
    else if ("connect" in step) {
      flows.set(step.connect, step);
      assert.deepEqual(wrong(cluster, [{ ...step, expect: "open" }], addresses), []);
    } else {
      const flow = flows.get(step.ask);
      assert.ok(flow, `nobody opened ${step.ask}`);
      const expect = step.expect === "answered" ? "open" : "dropped";
      assert.deepEqual(wrong(cluster, [{ ...flow, expect }], addresses), [], step.ask);
    }
  }
}

/** Packets that are judged in another way than expected, with the reasons. */
function wrong(draft: CaseRow["cluster"], packets: readonly CasePacket[], addresses: AddressPlan): readonly Wrong[] {
  const raw = rawCluster(draft, addresses);
  const cluster = readCluster(raw, addresses);
  return packets.flatMap((packet) => familiesOf(packet, addresses).flatMap((family) => {
    const judged = verdict(cluster, filteredPacket(packet, family, addresses, raw));
    return judged.allowed === (packet.expect === "open") ? [] : [{ packet, family, judged }];
  }));
}

interface Wrong {
  readonly packet: CasePacket;
  readonly family: Family;
  readonly judged: Verdict;
}
