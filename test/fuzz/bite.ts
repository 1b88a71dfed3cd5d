/**
 * Shows that the differential test bites: applies each seeded bug to a copy of the project and runs the test there.
 * `node test/fuzz/bite.ts [words of a bug's name]`. Ends with an error if one is not found.
 */
import { spawn } from "node:child_process";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ownedFolder } from "../lab/owner.ts";
import { BUGS, type SeededBug } from "./bugs.ts";
import { seedOfRun } from "./property.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = process.argv[2] ?? "";
const seed = seedOfRun();

/** How a run ended: `missed` = the test passed; `broken` = it ended for another reason than what packets saw. */
type Fate = "found" | "broken" | "missed";

// All first: a list that has rotted is told at once.
for (const bug of BUGS) await mutated(bug);

process.stdout.write(`TIERWALL_SEED=${seed}\n`);
const folder = await ownedFolder("tierwall-bite-");
try {
  // What is found without a bug says nothing about bugs.
  const { fate: healthy, words: illness } = await tryOut(undefined);
  if (healthy !== "missed") throw new Error(`the test fails without a bug: ${illness}`);
  const fates: Fate[] = [];
  for (const bug of BUGS.filter(({ name }) => name.includes(wanted))) {
    const started = performance.now();
    const { fate, words } = await tryOut(bug);
    fates.push(fate);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    process.stdout.write(`${fate.padEnd(6)} ${seconds.padStart(3)} s  ${bug.name}${words === "" ? "" : `: ${words}`}\n`);
  }
  const found = fates.filter((fate) => fate === "found").length;
  process.stdout.write(`${found} of ${fates.length} found\n`);
  process.exitCode = found === fates.length ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** The file's text with the bug. @throws Error unless `find` stands in it exactly once */
async function mutated({ name, file, find, replace }: SeededBug): Promise<string> {
  const text = await readFile(join(root, "operator", file), "utf8");
  const places = text.split(find).length - 1;
  if (places !== 1) throw new Error(`${name}: its place is ${places} times in operator/${file}`);
  return text.replace(find, () => replace);
}

/** @param bug `undefined` for none */
async function tryOut(bug: SeededBug | undefined): Promise<{ readonly fate: Fate; readonly words: string }> {
  const copy = join(folder, "project");
  await rm(copy, { recursive: true, force: true });
  await mkdir(copy);
  for (const part of ["operator", "test", "package.json"]) {
    await cp(join(root, part), join(copy, part), { recursive: true });
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  if (bug !== undefined) await writeFile(join(copy, "operator", bug.file), await mutated(bug));
  const { code, output } = await runTest(copy);
  if (code === 0) return { fate: "missed", words: "" };
  const [first = ""] = output.match(/\d+ disagreements\n\s*.*/) ?? [];
  if (first !== "") return { fate: "found", words: first.replace(/\s*\n\s*/, ", ") };
  return { fate: "broken", words: output.match(/Error: .*/)?.[0] ?? "" };
}

async function runTest(copy: string): Promise<{ readonly code: number; readonly output: string }> {
  const mocha = join(root, "node_modules/.bin/mocha");
  const child = spawn(mocha, ["--no-config", "--bail", "test/packets/differential.test.ts"], {
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
