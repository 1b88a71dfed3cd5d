/**
 * Shows that the differential test bites: applies each seeded bug to a copy of the project and runs the test there.
 * `node test/fuzz/bite.ts [words of a bug's name]`. Ends with an error if one is not found.
 */
import { spawn } from "node:child_process";
import { cp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ownedFolder } from "../lab/owner.ts";
import { BUGS, type SeededBug } from "./bugs.ts";
import { PITFALLS } from "./pitfalls.ts";
import { seedOfRun } from "./property.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = process.argv[2] ?? "";
const seed = seedOfRun();

/** How a run ended: `missed` = the test passed; `broken` = it ended for another reason than what packets saw. */
type Fate = "found" | "broken" | "missed";

// All first: a list that has rotted is told at once.
for (const bug of BUGS) mutated(bug, await readFile(join(root, "operator", bug.file), "utf8"));

process.stdout.write(`TIERWALL_SEED=${seed}\n`);
const folder = await ownedFolder("tierwall-bite-");
const copy = join(folder, "project");
try {
  // Once: the project may be worked on meanwhile.
  for (const part of ["operator", "test", "package.json"]) {
    await cp(join(root, part), join(copy, part), { recursive: true });
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  // What is found without a bug says nothing about bugs.
  const { fate: healthy, words: illness } = await tryOut(undefined);
  if (healthy !== "missed") throw new Error(`the test fails without a bug: ${illness}`);
  const fates: Fate[] = [];
  let fixed = 0;
  for (const bug of BUGS.filter(({ name }) => name.includes(wanted))) {
    const started = performance.now();
    const { fate, words, by } = await tryOut(bug);
    fates.push(fate);
    if (PITFALLS.some(({ name }) => name === by)) fixed += 1;
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    const saw = words === "" ? "" : `: ${words}`;
    process.stdout.write(`${fate.padEnd(6)} ${seconds.padStart(3)} s  ${bug.name}${saw}\n`);
  }
  const found = fates.filter((fate) => fate === "found").length;
  process.stdout.write(`${found} of ${fates.length} found, ${fixed} of them whatever the seed\n`);
  process.exitCode = found === fates.length ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** The file's text with the bug. @throws Error unless `find` stands in it exactly once */
function mutated({ name, file, find, replace }: SeededBug, text: string): string {
  const places = text.split(find).length - 1;
  if (places !== 1) throw new Error(`${name}: its place is ${places} times in operator/${file}`);
  return text.replace(find, () => replace);
}

interface Trial {
  readonly fate: Fate;
  readonly words: string;
  /** Title of the test that failed first. */
  readonly by?: string;
}

/** @param bug `undefined` for none */
async function tryOut(bug: SeededBug | undefined): Promise<Trial> {
  const { code, output } = bug === undefined ? await runTest() : await withBug(bug, runTest);
  if (code === 0) return { fate: "missed", words: "" };
  const [first = ""] = output.match(/\d+ disagreements\n\s*.*/) ?? [];
  const [, by = ""] = output.match(/^ +1\) packets see .*\n.*\n +(.*):$/m) ?? [];
  if (first !== "") return { fate: "found", words: first.replace(/\s*\n\s*/, ", "), by };
  return { fate: "broken", words: output.match(/Error: .*/)?.[0] ?? "" };
}

async function withBug<T>(bug: SeededBug, action: () => Promise<T>): Promise<T> {
  const path = join(copy, "operator", bug.file);
  const sound = await readFile(path, "utf8");
  await writeFile(path, mutated(bug, sound));
  try {
    return await action();
  } finally {
    await writeFile(path, sound);
  }
}

async function runTest(): Promise<{ readonly code: number; readonly output: string }> {
  const mocha = join(root, "node_modules/mocha/bin/mocha.js");
  const child = spawn(process.execPath, [mocha, "--no-config", "--bail", "test/packets/differential.test.ts"], {
    cwd: copy, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, TIERWALL_SEED: String(seed) },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => { output += text; });
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 1));
  });
  return { code, output };
}
