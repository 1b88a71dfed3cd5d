import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { Daemon } from "../../lab/daemon.ts";
import { waitFor } from "../../lab/wait.ts";

/** Notes a component's process and arguments in the folder it runs in, and becomes it. */
const NOTE = 'name=$(basename "$1"); echo $$ > "$name.pid"; printf "%s\\n" "$@" > "$name.argv"; exec "$@"';
/** For `ControlPlaneOptions.wrapper`. */
export const NOTED = ["/bin/sh", "-c", NOTE, "sh"];

/** The API server of a control plane that was started with `NOTED`: it can go away and come back on the same port. */
export class ApiServer {
  readonly #plane: ControlPlane;
  readonly #absences: { readonly from: number; readonly to: number }[] = [];
  #killedAt = 0;
  #again: Daemon | undefined;

  constructor(plane: ControlPlane) {
    this.#plane = plane;
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    const pid = this.#again?.pid ?? Number(await this.#noted("pid"));
    this.#killedAt = Date.now();
    process.kill(pid, "SIGKILL");
    const gone = async () => await listens(this.#plane.url) ? undefined : true;
    await waitFor("the API server has ended", gone, { timeoutMs: 5_000 });
  }

  /** Starts it again with the same arguments; etcd has kept its state. */
  async restart(): Promise<void> {
    const argv = (await this.#noted("argv")).trimEnd().split("\n");
    const { directory } = this.#plane;
    const log = join(directory, "kube-apiserver-again.log");
    await writeFile(log, "");
    process.off("exit", this.#kill).once("exit", this.#kill);
    this.#again = Daemon.start("kube-apiserver", argv, { log, env: { HOME: directory }, cwd: directory });
    await waitFor("the API server is ready again", async () => {
      const { code } = await this.#plane.kubectl(["get", "--raw=/readyz"]);
      return code === 0 || undefined;
    }, { timeoutMs: 60_000, log });
    this.#absences.push({ from: this.#killedAt, to: Date.now() });
  }

  /** Until it is ready it may refuse what is allowed: it has yet to read who may do what. */
  wasAway(at: number): boolean {
    return this.#absences.some(({ from, to }) => from <= at && at <= to);
  }

  /** Ends what `restart` started; the control plane ends the rest. */
  async stop(): Promise<void> {
    process.off("exit", this.#kill);
    await this.#again?.stop();
  }

  /** Also when the test run ends before its time. */
  readonly #kill = (): void => this.#again?.kill();

  #noted(what: "pid" | "argv"): Promise<string> {
    return readFile(join(this.#plane.directory, `kube-apiserver.${what}`), "utf8");
  }
}

/** Whether somebody listens; a certificate that is not trusted is an answer too. */
async function listens(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(1_000) }).then(() => true, (error: unknown) => {
    const cause = error instanceof Error ? error.cause : undefined;
    return !(cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED");
  });
}
