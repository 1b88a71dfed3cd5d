import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { cached } from "../controlplane/cache.mjs";
import { buildImages } from "../image/images.ts";
import { command, output } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { waitFor } from "./wait.ts";

/**
 * A containerd root with the images unpacked, made once per content. A node gets a copy that shares the files by hard
 * links: layers are never written to, only the databases are, and these are copied.
 */
export async function seedRoot(warn: (line: string) => void): Promise<string> {
  const archive = await buildImages(warn);
  const version = await output(["containerd", "--version"]);
  const key = createHash("sha256").update(`${archive.key} ${version}`).digest("hex").slice(0, 12);
  return cached("containerd-root", key, async (directory) => {
    const scratch = `${directory}.run`;
    await mkdir(scratch, { recursive: true });
    const socket = join(scratch, "c.sock");
    const config = join(scratch, "config.toml");
    await writeFile(config, [
      "version = 2",
      `root = "${directory}"`, `state = "${scratch}/state"`,
      "disabled_plugins = [\"io.containerd.grpc.v1.cri\"]",
      `[grpc]`, `  address = "${socket}"`, "",
    ].join("\n"));
    const daemon = Daemon.start("containerd", ["containerd", "--config", config], { log: join(scratch, "log") });
    try {
      const ctr = ["ctr", "--address", socket, "--namespace", "k8s.io"];
      await waitFor("containerd answering", async () => {
        daemon.assertRunning();
        return (await command([...ctr, "version"])).code === 0 ? true : undefined;
      }, { timeoutMs: 20_000, log: daemon.log });
      await output([...ctr, "images", "import", archive.file], { timeoutMs: 180_000 });
    } finally {
      await daemon.stop(10_000);
      await rm(scratch, { recursive: true, force: true });
    }
  });
}

/** Copies a seed for one node. */
export async function cloneRoot(seed: string, target: string): Promise<void> {
  const linked = await command(["cp", "--archive", "--link", seed, target]);
  if (linked.code !== 0) {
    // Another file system.
    await rm(target, { recursive: true, force: true });
    await output(["cp", "--archive", "--reflink=auto", seed, target], { timeoutMs: 180_000 });
    return;
  }
  const databases = (await output(["find", seed, "-name", "*.db", "-printf", "%P\\n"])).trim().split("\n");
  for (const database of databases) {
    await output(["cp", "--remove-destination", join(seed, database), join(target, database)]);
  }
}
