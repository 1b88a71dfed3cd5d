// `npm run bench`: every benchmark, one after the other. Each says in its header how it measures.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

const directory = new URL(".", import.meta.url);
const files = readdirSync(directory)
  .filter((name) => name.endsWith(".ts") && name !== "run.ts")
  .toSorted();
let failed = 0;
for (const file of files) {
  process.stdout.write(`\n=== ${file}\n`);
  const { status } = spawnSync("node", ["--expose-gc", new URL(file, directory).pathname], { stdio: "inherit" });
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
