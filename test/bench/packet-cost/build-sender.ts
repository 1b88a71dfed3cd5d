import { readdirSync } from "node:fs";
import { join } from "node:path";
import { cached, contentKey, projectRoot } from "../../controlplane/cache.mjs";
import { runLong } from "../../controlplane/run-long.mjs";

const MODULE = "test/bench/packet-cost/sender";

/** Builds the program that sends the packets, once per content. @returns path of the static binary. */
export async function buildSender(): Promise<string> {
  const sources = readdirSync(join(projectRoot, MODULE)).toSorted().map((name) => `${MODULE}/${name}`);
  const directory = await cached("packet-sender", contentKey(sources), async (temporary) => {
    const binary = join(temporary, "sender");
    await runLong("building the packet sender", "go", ["build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "."], {
      cwd: join(projectRoot, MODULE),
      env: { ...process.env, CGO_ENABLED: "0" },
    });
  });
  return join(directory, "sender");
}
