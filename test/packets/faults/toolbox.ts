import { chmod, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { output } from "../../lab/command.ts";
import { ownedFolder } from "../../lab/owner.ts";

const TABLES = ["iptables", "ip6tables"].flatMap((family) => {
  return ["nft", "legacy"].flatMap((backend) => ["save", "restore"].map((verb) => `${family}-${backend}-${verb}`));
});
/** What an enforcer starts, and what starts the enforcer. */
const TOOLS = [...TABLES, "ipset", "conntrack", "nft", "sh", "stdbuf", "ip"];

export type Breakage = "missing" | "failing" | "hanging";

/** Programs that stand in for a broken tool. */
const BROKEN: Readonly<Record<Exclude<Breakage, "missing">, string>> = {
  failing: "#!/bin/sh\necho broken on purpose >&2\nexit 1\n",
  hanging: "#!/bin/sh\nexec sleep 600\n",
};

/** A folder that holds all that an enforcer finds, and from which a tool can be taken. */
export class Toolbox {
  readonly folder: string;
  readonly #places: ReadonlyMap<string, string>;

  private constructor(folder: string, places: ReadonlyMap<string, string>) {
    this.folder = folder;
    this.#places = places;
  }

  static async create(): Promise<Toolbox> {
    const found = TOOLS.map(async (tool) => [tool, (await output(["which", tool])).trim()] as const);
    const toolbox = new Toolbox(await ownedFolder("tierwall-toolbox-"), new Map(await Promise.all(found)));
    for (const tool of TOOLS) await toolbox.mend(tool);
    return toolbox;
  }

  async break(tool: string, how: Breakage): Promise<void> {
    const path = join(this.folder, tool);
    if (how === "missing") return await rm(path);
    await writeFile(`${path}.new`, BROKEN[how].replace("sleep", (await output(["which", "sleep"])).trim()));
    await chmod(`${path}.new`, 0o755);
    await rename(`${path}.new`, path);
  }

  async mend(tool: string): Promise<void> {
    const path = join(this.folder, tool);
    await symlink(this.#places.get(tool) ?? "", `${path}.new`);
    await rename(`${path}.new`, path);
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Ends what a process keeps running of one tool: it has to start it anew. */
export async function endTool(pid: number, tool: string): Promise<void> {
  for (const child of await childrenOf(pid, tool)) process.kill(child, "SIGKILL");
}

/** Whether a process has a child that stands in for a tool and hangs. */
export async function isHanging(pid: number): Promise<boolean> {
  return (await childrenOf(pid, "sleep")).length > 0;
}

async function childrenOf(pid: number, program: string): Promise<readonly number[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).split(" ").filter((word) => word !== "");
  const named = children.map(async (child) => {
    const [path = ""] = (await readFile(`/proc/${child}/cmdline`, "latin1").catch(() => "")).split("\0");
    return basename(path) === program ? [Number(child)] : [];
  });
  return (await Promise.all(named)).flat();
}
