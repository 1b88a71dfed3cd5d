import { readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { command, output } from "./command.ts";
import { labDirectory, type LabRecord, orphans, processesOf, removeDirectory } from "./owner.ts";
import { waitFor } from "./wait.ts";

/**
 * Removes all of a lab, whatever state it is in: processes first, then what they held. The nodes' mounts are in mount
 * namespaces that end with their last process, pods' interfaces in network namespaces that end likewise.
 */
export async function dismantle(record: Pick<LabRecord, "id" | "uplink">): Promise<void> {
  await waitFor(`the processes of lab ${record.id} ending`, async () => {
    const pids = await processesOf(record.id);
    for (const pid of pids) kill(pid);
    return pids.length === 0 ? true : undefined;
  }, { timeoutMs: 20_000, everyMs: 30 });
  for (const name of await networkNamespaces(record.id)) await output(["ip", "netns", "delete", name]);
  await command(["ip", "link", "delete", record.uplink]);
  await removeGroups(await containerGroups(record.id));
  await removeDirectory(record.id);
}

/** Takes apart what killed runs left. */
export async function sweep(): Promise<void> {
  for (const record of await orphans()) await dismantle(record);
}

/** Names of the lab's namespaces under /run/netns. */
export async function networkNamespaces(id: string): Promise<string[]> {
  return (await list("/run/netns")).filter((name) => name.startsWith(`tw${id}-`));
}

/** Folders of the control groups of the lab's containers, in every hierarchy: runc calls them /k8s.io/<container>. */
export async function containerGroups(id: string): Promise<string[]> {
  const containers: string[] = [];
  for (const node of await list(labDirectory(id))) {
    for (const kind of ["sandboxes", "containers"]) {
      const folder = join(labDirectory(id), node, "containerd", "io.containerd.grpc.v1.cri", kind);
      containers.push(...await list(folder));
    }
  }
  const root = "/sys/fs/cgroup";
  const found: string[] = [];
  for (const hierarchy of [root, ...(await list(root)).map((entry) => join(root, entry))]) {
    const present = new Set(await list(join(hierarchy, "k8s.io")));
    for (const container of containers) {
      if (present.has(container)) found.push(...await deepestFirst(join(hierarchy, "k8s.io", container)));
    }
  }
  return found;
}

async function removeGroups(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    await waitFor(`control group ${folder} being empty`, async () => {
      await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
      return true;
    }, { timeoutMs: 5000 });
  }
}

function list(folder: string): Promise<string[]> {
  return readdir(folder).catch((): string[] => []);
}

async function deepestFirst(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(entries.filter((entry) => entry.isDirectory())
    .map((entry) => deepestFirst(join(folder, entry.name))));
  return [...below.flat(), folder];
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended by itself.
  }
}
