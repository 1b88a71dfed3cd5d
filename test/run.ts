// `npm test`: the quick suite; then two long ones side by side, which wait more than they work; then, with the machine to
// itself, what probes without a pause and would take a late answer for a lost packet. One line at the end sums them up.
import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";

interface Suite {
  readonly name: string;
  readonly what: string;
  readonly args: readonly string[];
}

const QUICK: Suite = {
  name: "unit", what: "pure rooms, seconds", args: ["--parallel", "--jobs", "2", "test/unit/**/*.test.ts"],
};
const PROBED = [
  "test/packets/faults/*.test.ts", "test/packets/first-light.test.ts", "test/packets/wide-segment.test.ts",
];
const LONG: readonly Suite[] = [
  {
    name: "cluster",
    what: "against a real API server, some minutes",
    args: ["--config", "test/cluster/.mocharc.json"],
  },
  {
    name: "packets",
    what: "real nodes and packets, some minutes",
    args: ["--config", "test/packets/.mocharc.json", ...PROBED.flatMap((files) => ["--ignore", files])],
  },
];
const ALONE: Suite = {
  name: "probes",
  what: "what is done to nodes and segments under continuous probes, some minutes",
  args: ["--no-config", "--extension", "ts", "--reporter", "spec", "--timeout", "180000", "--forbid-only", ...PROBED],
};
const PROGRESS_MS = 30_000;

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** A suite without a single test is a broken path, not a success. */
  readonly broken: boolean;
}

/** One run of mocha. What it prints is kept, and shown in one piece. */
class SuiteRun {
  readonly count: Promise<Count>;
  readonly #suite: Suite;
  #output = "";
  #over = false;

  constructor(suite: Suite) {
    this.#suite = suite;
    this.count = this.#run();
  }

  /** How far it is; `undefined` = at its end. */
  get progress(): string | undefined {
    return this.#over ? undefined : `${this.#suite.name}: ${this.#output.split("✔").length - 1} tests passed`;
  }

  async #run(): Promise<Count> {
    const { name, what, args } = this.#suite;
    const began = performance.now();
    const code = await this.#mocha(args);
    this.#over = true;
    const seconds = Math.round((performance.now() - began) / 1000);
    process.stdout.write(`\n=== ${name}: ${what}\n${this.#output}=== ${name}: ${seconds} s\n`);
    const closing = stripVTControlCharacters(this.#output).slice(-200_000);
    const count = (word: string) => Number(closing.match(new RegExp(`^\\s*(\\d+) ${word}\\b`, "m"))?.[1] ?? 0);
    const passed = count("passing");
    return { passed, failed: count("failing"), skipped: count("pending"), broken: code !== 0 || passed === 0 };
  }

  async #mocha(args: readonly string[]): Promise<number> {
    const env = { ...process.env, TIERWALL_THOROUGH: "1" };
    const child = spawn("mocha", args, { stdio: ["ignore", "pipe", "pipe"], env });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => { this.#output += text; });
    }
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status) => resolve(status ?? 1));
    });
  }
}

const started = performance.now();
const sinceStart = (): number => Math.round((performance.now() - started) / 1000);
const counts = [await new SuiteRun(QUICK).count];
// What is broken in the small need not be looked at in the large.
if (counts.every(({ broken }) => !broken)) {
  for (const suites of [LONG, [ALONE]]) {
    const runs = suites.map((suite) => new SuiteRun(suite));
    const ticker = setInterval(() => {
      process.stdout.write(`${sinceStart()} s: ${runs.flatMap(({ progress }) => progress ?? []).join(", ")}\n`);
    }, PROGRESS_MS);
    counts.push(...await Promise.all(runs.map(({ count }) => count)));
    clearInterval(ticker);
  }
}
const sum = (of: (count: Count) => number) => counts.reduce((total, count) => total + of(count), 0);
process.stdout.write(`\nall suites: ${sinceStart()} s\n`);
const [passed, failed] = [sum((count) => count.passed), sum((count) => count.failed)];
process.stdout.write(`${passed} passed, ${failed} failed, ${sum(({ skipped }) => skipped)} skipped\n`);
process.exit(counts.some(({ broken }) => broken) ? 1 : 0);
