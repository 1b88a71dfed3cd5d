import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** In the environment of every process of a lab, inherited by shims. */
export const labVariable = "TIERWALL_LAB";
const prefix = "tierwall-lab-";

/** What a lab's folder says about it, enough to take it apart after its owner was killed. */
export interface LabRecord {
  readonly id: string;
  /** Interface in the root namespace. */
  readonly uplink: string;
  readonly ownerPid: number;
  /** Field 22 of /proc/<pid>/stat: a pid that was given to another process since is not the owner. */
  readonly ownerStart: string;
  /** Left up on purpose (`demo --keep`): no sweep removes it. */
  readonly kept?: boolean;
}

export function labDirectory(id: string): string {
  return join(tmpdir(), `${prefix}${id}`);
}

export async function writeRecord(record: LabRecord): Promise<void> {
  await mkdir(labDirectory(record.id), { recursive: true, mode: 0o755 });
  await writeFile(join(labDirectory(record.id), "owner.json"), JSON.stringify(record));
}

/** Labs whose owner has gone. */
export async function orphans(): Promise<LabRecord[]> {
  const found: LabRecord[] = [];
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const text = await readFile(join(tmpdir(), name, "owner.json"), "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const record = JSON.parse(text) as LabRecord;
    if (record.kept !== true && await startOf(record.ownerPid) !== record.ownerStart) found.push(record);
  }
  return found;
}

/** When a process started, in the kernel's ticks; undefined if there is none. */
export async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // The command's name is in brackets and may hold spaces and brackets.
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

/**
 * Every process of a lab: by its environment, or, for containers, which do not inherit it, by a root file system
 * that lies in the lab's folder.
 */
export async function processesOf(id: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const ourMounts = await readlink("/proc/self/ns/mnt");
  const mine = await Promise.all(pids.map(async (pid) => {
    if (pid === process.pid) return false;
    const [environment, mounts, namespace, executable] = await Promise.all([
      readFile(`/proc/${pid}/environ`, "latin1").catch(() => ""),
      readFile(`/proc/${pid}/mountinfo`, "utf8").catch(() => ""),
      readlink(`/proc/${pid}/ns/mnt`).catch(() => ourMounts),
      readlink(`/proc/${pid}/exe`).catch(() => undefined),
    ]);
    // Without an executable it is a zombie: dead already.
    if (executable === undefined) return false;
    if (environment.split("\0").includes(`${labVariable}=${id}`)) return true;
    return namespace !== ourMounts && mounts.includes(`${labDirectory(id)}/`);
  }));
  return pids.filter((_, index) => mine[index] === true);
}

export async function removeDirectory(id: string): Promise<void> {
  await rm(labDirectory(id), { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

const ownerFile = "owner";

/** A temporary folder that is known to be this process's; those of processes that were killed are removed first. */
export async function ownedFolder(name: string): Promise<string> {
  for (const entry of await readdir(tmpdir())) {
    if (!entry.startsWith(name)) continue;
    const folder = join(tmpdir(), entry);
    const [pid, start] = (await readFile(join(folder, ownerFile), "utf8").catch(() => "")).split(" ");
    if (start !== undefined && await startOf(Number(pid)) !== start) await rm(folder, { recursive: true, force: true });
  }
  const folder = await mkdtemp(join(tmpdir(), name));
  await writeFile(join(folder, ownerFile), `${process.pid} ${await startOf(process.pid) ?? ""}`);
  return folder;
}
