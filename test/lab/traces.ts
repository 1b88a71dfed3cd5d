import { readdir, readFile } from "node:fs/promises";
import { output } from "./command.ts";
import { labDirectory, type LabRecord } from "./owner.ts";

/**
 * All that a lab has on this machine, one line each; looked for by name and path, and not by the marks that tear-down
 * goes by: what tear-down does not see, this must.
 */
export async function traces(record: Pick<LabRecord, "id" | "uplink">): Promise<string[]> {
  const directory = labDirectory(record.id);
  const found: string[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const commandLine = (await read(`/proc/${name}/cmdline`)).replaceAll("\0", " ");
    const mounts = await read(`/proc/${name}/mountinfo`);
    if (commandLine.includes(directory) || mounts.includes(`${directory}/`)) found.push(`process ${name} ${commandLine}`);
  }
  const lines = async (argv: readonly string[]): Promise<string[]> => (await output(argv)).trim().split("\n");
  found.push(...(await lines(["ip", "netns", "list"])).filter((line) => line.startsWith(`tw${record.id}-`)));
  found.push(...(await lines(["ip", "-oneline", "link"])).filter((line) => line.includes(`${record.uplink}@`)));
  found.push(...(await read("/proc/self/mounts")).split("\n").filter((line) => line.includes(record.id)));
  found.push(...(await readdir("/tmp")).filter((name) => name.includes(`tierwall-lab-${record.id}`)));
  return found;
}

async function read(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
