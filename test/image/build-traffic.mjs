// Builds the lab's small traffic program (test/lab/traffic) once per content.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { cached, contentKey, projectRoot } from "../controlplane/cache.mjs";
import { runLong } from "../controlplane/run-long.mjs";

const module = "test/lab/traffic";

/** @returns path of the static binary. */
export async function buildTraffic() {
  const sources = readdirSync(join(projectRoot, module)).sort().map((name) => `${module}/${name}`);
  const directory = await cached("traffic", contentKey(sources), (temporary) => runLong(
    "building the lab's traffic program, a few seconds",
    "go", ["build", "-trimpath", "-ldflags", "-s -w", "-o", join(temporary, "traffic"), "."],
    { cwd: join(projectRoot, module), env: { ...process.env, CGO_ENABLED: "0" } },
  ));
  return join(directory, "traffic");
}
