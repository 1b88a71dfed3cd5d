import { chmod, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { output } from "../../lab/command.ts";
import { ownedFolder } from "../../lab/owner.ts";
import { waitFor } from "../../lab/wait.ts";

const TABLES = ["iptables", "ip6tables"].flatMap((family) => {
  return ["nft", "legacy"].flatMap((backend) => ["save", "restore"].map((verb) => `${family}-${backend}-${verb}`));
});
/** What an enforcer starts, and what starts the enforcer. */
const TOOLS = [...TABLES, "ipset", "conntrack", "nft", "sh", "stdbuf", "ip"];

export type Breakage = "missing" | "failing" | "hanging";

/** Programs that stand in for a tool. `HELD` is there while they are to stop, `BEGUN` gets who has. */
const STAND_INS: Readonly<Record<Exclude<Breakage, "missing"> | "holding" | "stopping", string>> = {
  failing: "echo broken on purpose >&2\nexit 1\n",
  hanging: "exec SLEEP 600\n",
  // Before it begins.
  holding: `
if [ -e HELD ]; then echo $$ > BEGUN; fi
while [ -e HELD ]; do SLEEP 0.01; done
exec REAL "$@"
`,
  // At the first line it is told that has the words of HELD in it: what came before has been handed on.
  stopping: `
while IFS= read -r line; do
  if [ -e HELD ] && read -r words < HELD; then
    case "$line" in *"$words"*)
      echo $$ > BEGUN
      while [ -e HELD ]; do SLEEP 0.01; done ;;
    esac
  fi
  printf '%s\\n' "$line"
done | REAL "$@"
`,
};
const SOON = { timeoutMs: 20_000, everyMs: 5 };

/** A tool that has been told to stop. */
export interface Held {
  /** Waits until it has. */
  readonly begun: () => Promise<void>;
  /** Whether the one that had stopped is still there. */
  readonly stands: () => Promise<boolean>;
  /** Lets it go on. */
  readonly release: () => Promise<void>;
  /** Waits until the one that had stopped has ended. */
  readonly ended: () => Promise<void>;
}

/** A folder that holds all that an enforcer finds, and from which a tool can be taken. */
export class Toolbox {
  readonly folder: string;
  readonly #places: ReadonlyMap<string, string>;

  private constructor(folder: string, places: ReadonlyMap<string, string>) {
    this.folder = folder;
    this.#places = places;
  }

  static async create(): Promise<Toolbox> {
    const found = [...TOOLS, "sleep"].map(async (tool) => [tool, (await output(["which", tool])).trim()] as const);
    const toolbox = new Toolbox(await ownedFolder("tierwall-toolbox-"), new Map(await Promise.all(found)));
    for (const tool of TOOLS) await toolbox.mend(tool);
    return toolbox;
  }

  async break(tool: string, how: Breakage): Promise<void> {
    if (how === "missing") return await rm(join(this.folder, tool));
    await this.#standIn(tool, how);
  }

  /** Puts something in a tool's place that can be stopped within what it is told, see `stopAt`. */
  async makeStoppable(tool: string): Promise<void> {
    await this.#standIn(tool, "stopping");
  }

  /** A stoppable tool stops before the next line with these words. */
  async stopAt(tool: string, words: string): Promise<Held> {
    return await this.#hold(tool, words);
  }

  /** From now on a tool that is started hangs. */
  async hold(tool: string): Promise<Held> {
    const held = await this.#hold(tool, "");
    await this.#standIn(tool, "holding");
    return held;
  }

  async mend(tool: string): Promise<void> {
    const path = join(this.folder, tool);
    await symlink(this.#places.get(tool) ?? "", `${path}.new`);
    await rename(`${path}.new`, path);
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async #standIn(tool: string, how: keyof typeof STAND_INS): Promise<void> {
    const path = join(this.folder, tool);
    const names = {
      REAL: this.#places.get(tool) ?? "", SLEEP: this.#places.get("sleep") ?? "", HELD: `${path}.held`, BEGUN: `${path}.begun`,
    };
    const script = STAND_INS[how].replaceAll(/REAL|SLEEP|HELD|BEGUN/g, (name) => names[name as keyof typeof names]);
    await writeFile(`${path}.new`, `#!/bin/sh\n${script}`);
    await chmod(`${path}.new`, 0o755);
    await rename(`${path}.new`, path);
  }

  async #hold(tool: string, words: string): Promise<Held> {
    const [held, begun] = [join(this.folder, `${tool}.held`), join(this.folder, `${tool}.begun`)];
    await rm(begun, { force: true });
    await writeFile(held, `${words}\n`);
    const who = async () => (await readFile(begun, "utf8").catch(() => "")).trim();
    // One that nobody has waited for yet has no command line any more.
    const stands = async () => (await readFile(`/proc/${await who()}/cmdline`, "latin1").catch(() => "")) !== "";
    return {
      begun: async () => {
        await waitFor(`${tool} having begun`, async () => (await who()) !== "" || undefined, SOON);
      },
      stands,
      release: async () => await rm(held, { force: true }),
      ended: async () => {
        await waitFor(`${tool} having ended`, async () => !(await stands()) || undefined, SOON);
      },
    };
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
