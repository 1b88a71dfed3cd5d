// From a line of the stream to the kernel, on one node with 110 pods, 200 policies and 10,000 peers, in both backends.
// Method: the enforcer's own code (stream codec, batches, NodeFirewall with warm channels) in a network namespace of
// its own, fed with the lines that an operator sends. Each figure is the median of many single changes, from before
// the first line is parsed until the last write into the kernel has been acknowledged; in brackets minimum and maximum.
// Between two changes the node sweeps and rests for 30 ms, so that the kernel has let go of what was removed; a
// processor that has gone to sleep meanwhile wakes up within the figure. What comes in a rush does not pay for that.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const worker = fileURLToPath(new URL("apply/node.ts", import.meta.url));

for (const backend of ["nft", "legacy"]) {
  const namespace = `twp${randomBytes(3).toString("hex")}`;
  execFileSync("ip", ["netns", "add", namespace]);
  try {
    const env = { ...process.env, XTABLES_LOCKFILE: join(tmpdir(), `${namespace}.lock`) };
    const node = [process.execPath, "--expose-gc", worker, backend];
    execFileSync("ip", ["netns", "exec", namespace, ...node], { stdio: "inherit", env });
  } finally {
    execFileSync("ip", ["netns", "delete", namespace]);
    rmSync(join(tmpdir(), `${namespace}.lock`), { force: true });
  }
}
