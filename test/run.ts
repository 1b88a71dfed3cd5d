// `npm test`: the quick suite; then the long ones in two lanes; then, one after the other and with the machine to
// themselves, those that probe without a pause: they would take a late answer for a lost packet. One line at the end sums
// them up.
import { spawn } from "node:child_process";
import { stripVTControlCharacters } from "node:util";

interface Suite {
  readonly name: string;
  readonly what: string;
  readonly args: readonly string[];
}

const QUICK: Suite = {
  name: "unit",
  what: "pure rooms, seconds",
  // The stream's tests wait: what comes after them does not.
  args: ["--parallel", "--jobs", "3", "test/unit/stream/*.test.ts", "test/unit/{!(stream)/**/,}*.test.ts"],
};
/** Without a config: mocha would add its files to these. */
const PLAIN = ["--no-config", "--extension", "ts", "--reporter", "spec", "--forbid-only"];
const PACKETS = [...PLAIN, "--timeout", "180000"];
const CLUSTER = [...PLAIN, "--timeout", "30000", "--require", "test/cluster/control-plane.ts"];
const FAULTS = ["test/packets/faults/*.test.ts"];
const SEGMENTS = ["test/packets/first-light.test.ts", "test/packets/wide-segment.test.ts"];
const VERDICTS = ["matrix", "differential", "odd-packets", "recipes"].map((name) => `test/packets/${name}.test.ts`);
const OTHERS = [
  "test/packets/**/*.test.ts", ...[...FAULTS, ...SEGMENTS, ...VERDICTS].flatMap((files) => ["--ignore", files]),
];
const OPERATOR = ["test/cluster/operator/*.test.ts"];
/** Each lane takes about as long as the other. */
const FIRST_LANE: readonly Suite[] = [
  { name: "operator", what: "an operator against a real API server", args: [...CLUSTER, ...OPERATOR] },
];
const SECOND_LANE: readonly Suite[] = [
  { name: "verdicts", what: "what becomes of packets, case by case", args: [...PACKETS, ...VERDICTS] },
  { name: "nodes", what: "an enforcer's life on real nodes", args: [...PACKETS, ...OTHERS] },
  {
    name: "contracts",
    what: "what a real API server says of schemas, rights, clients and tools",
    args: [...CLUSTER, "test/cluster/**/*.test.ts", ...OPERATOR.flatMap((files) => ["--ignore", files])],
  },
];
const PROBED: readonly Suite[] = [
  { name: "segments", what: "what is done to segments under continuous probes", args: [...PACKETS, ...SEGMENTS] },
  { name: "faults", what: "what is done to nodes under continuous probes", args: [...PACKETS, ...FAULTS] },
];
const PROGRESS_MS = 30_000;

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** A suite without a single test is a broken path, not a success. */
  readonly broken: boolean;
  /** What mocha says of each test that failed, its first lines: said once more at the very end, where they are looked for. */
  readonly failures: readonly string[];
}

const FAILURE_LINES = 12;

/** The failures of a run, from what mocha's `spec` reporter prints under "N failing". */
function failuresIn(output: string): readonly string[] {
  const [, list = ""] = output.split(/^ +\d+ failing$/m);
  return list.split(/^(?= {2}\d+\) )/m).slice(1).map((failure) => {
    const lines = failure.split("\n").filter((line) => line.trim() !== "" && !/^\s+at /.test(line));
    return lines.slice(0, FAILURE_LINES).join("\n");
  });
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
    const broken = code !== 0 || passed === 0;
    return { passed, failed: count("failing"), skipped: count("pending"), broken, failures: failuresIn(closing) };
  }

  async #mocha(args: readonly string[]): Promise<number> {
    // Types are stripped once, not once for each worker.
    const env = { ...process.env, TIERWALL_THOROUGH: "1", NODE_COMPILE_CACHE: "node_modules/.cache/tierwall" };
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

/** Plays lanes of suites side by side, and tells now and then how far they are. */
async function play(...lanes: readonly (readonly Suite[])[]): Promise<readonly Count[]> {
  const runs: SuiteRun[] = [];
  const ticker = setInterval(() => {
    process.stdout.write(`${sinceStart()} s: ${runs.flatMap(({ progress }) => progress ?? []).join(", ")}\n`);
  }, PROGRESS_MS);
  await Promise.all(lanes.map(async (suites) => {
    for (const suite of suites) {
      const run = new SuiteRun(suite);
      runs.push(run);
      await run.count;
    }
  }));
  clearInterval(ticker);
  return await Promise.all(runs.map(({ count }) => count));
}

const started = performance.now();
const sinceStart = (): number => Math.round((performance.now() - started) / 1000);
const counts = [await new SuiteRun(QUICK).count];
// What is broken in the small need not be looked at in the large.
if (counts.every(({ broken }) => !broken)) counts.push(...await play(FIRST_LANE, SECOND_LANE), ...await play(PROBED));
for (const failure of counts.flatMap(({ failures }) => failures)) process.stdout.write(`\n${failure}\n`);
const sum = (of: (count: Count) => number) => counts.reduce((total, count) => total + of(count), 0);
process.stdout.write(`\nall suites: ${sinceStart()} s\n`);
const [passed, failed] = [sum((count) => count.passed), sum((count) => count.failed)];
process.stdout.write(`${passed} passed, ${failed} failed, ${sum(({ skipped }) => skipped)} skipped\n`);
process.exit(counts.some(({ broken }) => broken) ? 1 : 0);
