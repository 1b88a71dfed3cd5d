import { readFile, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { command, type CommandResult } from "../../lab/command.ts";
import { Daemon } from "../../lab/daemon.ts";
import { waitFor } from "../../lab/wait.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const MAIN = join(ROOT, "operator", "main.ts");

/** As in the operator's settings file. */
export type OperatorSettings = Readonly<Record<string, unknown>>;

export interface OperatorProcessOptions {
  /** What the replica calls itself in the Lease; unique in `directory`. */
  readonly name: string;
  /** For its settings and its log. */
  readonly directory: string;
  readonly kubeconfig: string;
  /** Put over `enforcer: Disabled` and ports nobody listens on. */
  readonly settings?: OperatorSettings;
}

/** A line of the operator's log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [fact: string]: unknown;
}

/** The operator as a process of its own, started as in development. */
export class OperatorProcess {
  readonly name: string;
  readonly #daemon: Daemon;
  readonly #ports: Readonly<Record<"stream" | "probes" | "metrics", number>>;

  private constructor(name: string, daemon: Daemon, ports: Readonly<Record<"stream" | "probes" | "metrics", number>>) {
    this.name = name;
    this.#daemon = daemon;
    this.#ports = ports;
  }

  /** Does not wait for anything; `untilReady` does. */
  static async start({ name, directory, kubeconfig, settings = {} }: OperatorProcessOptions): Promise<OperatorProcess> {
    const [stream, probes, metrics] = await freePorts();
    const file = join(directory, `${name}.settings.yaml`);
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ enforcer: "Disabled", ports: { stream, probes, metrics }, ...settings }));
    const argv = [process.execPath, MAIN, `--config=${file}`, `--kubeconfig=${kubeconfig}`];
    const daemon = Daemon.start(name, argv, { log: join(directory, `${name}.log`), env: { POD_NAME: name } });
    return new OperatorProcess(name, daemon, { stream, probes, metrics });
  }

  /** On 127.0.0.1, where enforcers connect. */
  get streamPort(): number {
    return this.#ports.stream;
  }

  /** Runs the operator to its end, for command lines that it refuses. */
  static run(args: readonly string[]): Promise<CommandResult> {
    return command([process.execPath, MAIN, ...args], { timeoutMs: 10_000 });
  }

  /** Waits until every cache is complete and the stream is served. */
  async untilReady(timeoutMs = 60_000): Promise<void> {
    await this.until("is ready", async () => await this.probe("/readyz") === 200 || undefined, timeoutMs);
  }

  async untilLeading(timeoutMs = 30_000): Promise<void> {
    const leads = async () => await this.metric("leader_election_master_status") === 1 || undefined;
    await this.until("leads", leads, timeoutMs);
  }

  /** @throws with the tail of the log, also as soon as the operator has ended */
  until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs: number): Promise<T> {
    return waitFor(`operator ${this.name} ${what}`, async () => {
      this.#daemon.assertRunning();
      return look();
    }, { timeoutMs, log: this.#daemon.log });
  }

  /** @throws if it has ended */
  assertRunning(): void {
    this.#daemon.assertRunning();
  }

  /** @returns the status code of one of its probes */
  async probe(path: "/healthz" | "/readyz"): Promise<number> {
    return (await get(this.#ports.probes, path)).status;
  }

  /** @param name with its labels, as it is exposed. @throws if there is none */
  async metric(name: string): Promise<number> {
    const answer = await get(this.#ports.metrics, "/metrics");
    const line = (await answer.text()).split("\n").find((text) => text.startsWith(`${name} `));
    if (line === undefined) throw new Error(`no metric ${name}`);
    return Number(line.slice(name.length + 1));
  }

  async log(): Promise<readonly LogLine[]> {
    const text = await readFile(this.#daemon.log, "utf8");
    return text.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as LogLine);
  }

  /** SIGTERM, as a roll-out sends it. @returns milliseconds until it had ended; it is killed after 10 s. */
  async stop(): Promise<number> {
    const start = performance.now();
    await this.#daemon.stop(10_000);
    return performance.now() - start;
  }

  /** SIGKILL: no chance to say good-bye. */
  kill(): void {
    this.#daemon.kill();
  }
}

function get(port: number, path: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(2_000) });
}

/** Three ports nobody listens on now. */
async function freePorts(): Promise<readonly [number, number, number]> {
  const servers = [createServer(), createServer(), createServer()] as const;
  const [a, b, c] = await Promise.all(servers.map((server) => new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, () => resolve((server.address() as AddressInfo).port));
  })));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [a ?? 0, b ?? 0, c ?? 0];
}
