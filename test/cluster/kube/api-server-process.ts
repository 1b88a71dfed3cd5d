import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { Daemon } from "../../lab/daemon.ts";
import { waitFor } from "../../lab/wait.ts";

/** The API server of one control plane, to be killed and started again; etcd goes on. */
export class ApiServerProcess {
  readonly #plane: ControlPlane;
  readonly #argv: readonly string[];
  #pid: number;
  #again: Daemon | undefined;

  /** Found by its command line: it alone has this audit log. */
  constructor(plane: ControlPlane) {
    this.#plane = plane;
    const own = `--audit-log-path=${plane.auditLog}`;
    const found = readdirSync("/proc").filter((name) => /^\d+$/.test(name))
      .map((pid) => ({ pid: Number(pid), argv: argumentsOf(pid) })).find(({ argv }) => argv.includes(own));
    if (found === undefined) throw new Error("the API server is not running");
    this.#pid = found.pid;
    this.#argv = found.argv;
  }

  /** With -9; resolves when it is gone and its port is free. */
  async kill(): Promise<void> {
    process.kill(this.#pid, "SIGKILL");
    const gone = (): true | undefined => argumentsOf(String(this.#pid)).length === 0 || undefined;
    await waitFor("the end of the API server", gone, { timeoutMs: 10_000, everyMs: 10 });
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const { directory } = this.#plane;
    const log = join(directory, "kube-apiserver-again.log");
    const daemon = Daemon.start("kube-apiserver", this.#argv, { log, env: { HOME: directory }, cwd: directory });
    this.#again = daemon;
    this.#pid = daemon.pid;
    await waitFor("the API server being ready again", async () => {
      daemon.assertRunning();
      const { code } = await this.#plane.kubectl(["get", "--raw", "/readyz"]);
      return code === 0 ? true : undefined;
    }, { timeoutMs: 60_000, log });
  }

  async stop(): Promise<void> {
    await this.#again?.stop();
  }
}

/** Empty for a process that has ended meanwhile, and for the kernel's own. */
function argumentsOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return [];
  }
}
