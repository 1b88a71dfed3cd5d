// `npm test`: the three suites one after the other, quickest first, and one line at the end that sums them up.
import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";

interface Suite {
  readonly name: string;
  readonly what: string;
  readonly args: readonly string[];
}

const SUITES: readonly Suite[] = [
  { name: "unit", what: "pure rooms, seconds", args: ["--parallel", "--jobs", "2", "test/unit/**/*.test.ts"] },
  {
    name: "cluster",
    what: "against a real API server, a few minutes",
    args: ["--config", "test/cluster/.mocharc.json"],
  },
  { name: "packets", what: "real nodes and packets, a few minutes", args: ["--config", "test/packets/.mocharc.json"] },
];

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly code: number;
}

/** Runs a suite, shows what it prints, and counts what mocha says in its closing lines. */
async function run({ args }: Suite): Promise<Count> {
  const env = { ...process.env, TIERWALL_THOROUGH: "1" };
  const child = spawn("mocha", args, { stdio: ["ignore", "pipe", "inherit"], env });
  let tail = "";
  child.stdout.on("data", (chunk: Buffer) => {
    process.stdout.write(chunk);
    tail = stripVTControlCharacters(`${tail}${chunk.toString()}`).slice(-200_000);
  });
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 1));
  });
  const count = (word: string) => Number(tail.match(new RegExp(`^\\s*(\\d+) ${word}\\b`, "m"))?.[1] ?? 0);
  return { passed: count("passing"), failed: count("failing"), skipped: count("pending"), code };
}

const started = performance.now();
const counts: Count[] = [];
for (const suite of SUITES) {
  process.stdout.write(`\n=== ${suite.name}: ${suite.what}\n`);
  const began = performance.now();
  const count = await run(suite);
  counts.push(count);
  process.stdout.write(`=== ${suite.name}: ${Math.round((performance.now() - began) / 1000)} s\n`);
  // A suite without a single test is a broken path, not a success.
  if (count.code !== 0 || count.passed === 0) break;
}
const sum = (of: (count: Count) => number) => counts.reduce((total, count) => total + of(count), 0);
const broken = counts.some(({ code, passed }) => code !== 0 || passed === 0) || counts.length < SUITES.length;
process.stdout.write(`\nall suites: ${Math.round((performance.now() - started) / 1000)} s\n`);
process.stdout.write(
  `${sum(({ passed }) => passed)} passed, ${sum(({ failed }) => failed)} failed, ${sum(({ skipped }) => skipped)} skipped\n`,
);
process.exit(broken ? 1 : 0);
