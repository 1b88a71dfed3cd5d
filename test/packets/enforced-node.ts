import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { SegmentNodeStatus } from "../../operator/api/segment-node.ts";
import { HOSTS } from "./enforcer-cases.ts";
import type { Worker } from "./enforcer-network.ts";
import { ScratchNetwork } from "./enforcer-network.ts";
import type { OperatorOptions, OperatorOrder } from "./enforcer-operator.ts";
import { API_PORT, SEGMENT, STREAM_PORT } from "./enforcer-operator.ts";
import type { Order, Outcome } from "./enforcer-prober.ts";
import type { StateDraft } from "./enforcer-state.ts";

const run = promisify(execFile);
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
export const ENFORCER = file("../../operator/enforcer/main.ts");
const SERVER_NAME = "tierwall-operator.tierwall-system.svc";
const [DB] = HOSTS.db;
/** What a kernel has no more after a reboot, nor before the first boot. */
const REBOOT = "nft flush ruleset; ipset destroy; conntrack -F 2>/dev/null; true";

const METRICS_PORT = 9473;

/** A line of the enforcer's log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A node with the pods `web` and `db` behind it, its enforcer as a process, and the other ends of its wires. */
export class EnforcedNode {
  /** Lines of the enforcer that runs now. */
  log: LogLine[] = [];
  readonly stateDirectory: string;
  readonly network: ScratchNetwork;
  readonly #directory: string;
  readonly #web: Worker;
  #operator: Worker | undefined;
  #enforcer: ChildProcess | undefined;

  private constructor(directory: string, network: ScratchNetwork, web: Worker) {
    this.#directory = directory;
    this.stateDirectory = join(directory, "state");
    this.network = network;
    this.#web = web;
  }

  static async create(): Promise<EnforcedNode> {
    const directory = await mkdtemp(join(tmpdir(), "tierwall-enforced-"));
    const names = `subjectAltName=DNS:${SERVER_NAME},IP:127.0.0.1`;
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
    const out = ["-out", join(directory, "ca.crt"), "-keyout", join(directory, "tls.key")];
    await run("openssl", ["req", "-x509", ...kind, "-subj", "/CN=test", "-addext", names, ...out]);
    await run("sh", ["-c", `printf token > ${directory}/token; mkdir ${directory}/state`]);
    const network = await ScratchNetwork.create({ web: HOSTS.web, db: HOSTS.db });
    const web = await network.worker("web", file("enforcer-prober.ts"));
    const db = await network.worker("db", file("enforcer-prober.ts"));
    await db.order({ do: "listen", protocol: "TCP", port: 80 } satisfies Order);
    return new EnforcedNode(directory, network, web);
  }

  async remove(): Promise<void> {
    await this.kill("SIGKILL");
    await this.network.remove();
    await rm(this.#directory, { recursive: true });
  }

  async startOperator(options: OperatorOptions = {}): Promise<void> {
    const files = ["ca.crt", "tls.key"].map((name) => join(this.#directory, name));
    const program = file("enforcer-operator.ts");
    this.#operator = await this.network.worker("node", program, ...files, JSON.stringify(options));
  }

  async stopOperator(): Promise<void> {
    await this.#operator?.stop("SIGKILL");
    this.#operator = undefined;
  }

  /** What the enforcer's readiness probe is answered; nothing if nobody is there. */
  async readiness(): Promise<string> {
    const ask = 'fetch("http://127.0.0.1:9474/readyz").then(({ status }) => process.stdout.write(String(status)))';
    return await this.network.inNode(process.execPath, "-e", ask).catch(() => "");
  }

  /** Publishes a state, and waits until it is confirmed. */
  async enforce(state: StateDraft, generation: number): Promise<SegmentNodeStatus> {
    await this.#operator?.order({ do: "state", state, generation } satisfies OperatorOrder);
    return await this.untilStatus(({ policies, conditions }) => {
      const confirmed = policies.some((policy) => policy.name === SEGMENT && policy.revision === `r${generation}`);
      return confirmed && conditions.some(({ reason }) => reason === "Enforcing");
    });
  }

  async untilStatus(wanted: (status: SegmentNodeStatus) => boolean): Promise<SegmentNodeStatus> {
    return await until("a SegmentNode status", async () => {
      const statuses = await this.#operator?.order<SegmentNodeStatus[]>({ do: "statuses" } satisfies OperatorOrder);
      return statuses?.findLast(wanted);
    });
  }

  /** The same, of the newest status alone. */
  async untilNewest(wanted: (status: SegmentNodeStatus) => boolean): Promise<SegmentNodeStatus> {
    return await until("a newest SegmentNode status", async () => {
      const statuses = await this.#operator?.order<SegmentNodeStatus[]>({ do: "statuses" } satisfies OperatorOrder);
      const newest = statuses?.at(-1);
      return newest !== undefined && wanted(newest) ? newest : undefined;
    });
  }

  /**
   * @param program what Node runs, with its own options before it
   * @param path where the enforcer finds its tools; absent = where we do
   */
  start(program: readonly string[] = [ENFORCER], path = process.env["PATH"] ?? ""): void {
    const at = (name: string): string => join(this.#directory, name);
    const args = [
      "--node=node-1",
      `--operator=127.0.0.1:${STREAM_PORT}`,
      `--operator-name=${SERVER_NAME}`,
      `--api-server=https://127.0.0.1:${API_PORT}`,
      `--ca-file=${at("ca.crt")}`,
      `--token-file=${at("token")}`,
      `--api-ca-file=${at("ca.crt")}`,
      `--api-token-file=${at("token")}`,
      `--state-directory=${this.stateDirectory}`,
      `--metrics-port=${METRICS_PORT}`,
    ];
    const inNode = ["netns", "exec", this.network.namespace("node"), "env", `PATH=${path}`, process.execPath];
    const child = spawn("ip", [...inNode, ...program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const log: LogLine[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => log.push(JSON.parse(line) as LogLine));
    this.log = log;
    this.#enforcer = child;
  }

  /** Of the enforcer that runs now. */
  get pid(): number {
    const pid = this.#enforcer?.pid;
    assert.ok(pid !== undefined, "no enforcer runs");
    return pid;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const ending = this.#enforcer;
    this.#enforcer = undefined;
    if (ending === undefined || ending.exitCode !== null) return;
    const ended = new Promise((resolve) => ending.once("close", resolve));
    ending.kill(signal);
    await ended;
  }

  /** The kernel's tables are empty after it, as after a reboot. */
  async reboot(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await this.kill(signal);
    await this.network.inNode("sh", "-c", REBOOT);
  }

  /** @param again done before each look */
  untilSaid(pattern: RegExp, again: () => Promise<unknown> = async () => undefined): Promise<LogLine> {
    return until(`${pattern} in the log`, async () => {
      await again();
      return this.log.find((line) => pattern.test(JSON.stringify(line)));
    });
  }

  /** Of one new TCP connection from `web` to `db`. */
  probe(port = 80): Promise<Outcome> {
    return this.#web.order({ do: "probe", protocol: "TCP", host: DB, port } satisfies Order);
  }

  /** Outcomes of 200 new connections a second from `web` to `db`, while something is done and a little longer. */
  async probeWhile(act: () => Promise<unknown>): Promise<readonly Outcome[]> {
    const probes: Promise<Outcome>[] = [];
    const timer = setInterval(() => probes.push(this.probe()), 5);
    try {
      await sleep(200);
      await act();
      await sleep(200);
    } finally {
      clearInterval(timer);
    }
    return await Promise.all(probes);
  }

  /** By name and labels. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const script = `fetch("http://127.0.0.1:${METRICS_PORT}/metrics").then(async (all) => console.log(await all.text()))`;
    const text = await this.network.inNode(process.execPath, "-e", script);
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]));
  }

  /** Ours, and others', in one backend. */
  async rules(tables = "iptables-nft"): Promise<string> {
    const saved = await this.network.inNode(`${tables}-save`);
    return withoutCounts(saved);
  }

  /** Waits until what is swept later is swept. */
  async calm(): Promise<string> {
    return await until("the last sweep", async () => {
      const before = await this.rules();
      await sleep(300);
      return (await this.rules()) === before ? before : undefined;
    });
  }
}

/** What `iptables-save` and its like print, but for what changes by itself. */
export function withoutCounts(saved: string): string {
  const lines = saved.split("\n").filter((line) => !line.startsWith("#"));
  return lines.map((line) => line.replace(/\[\d+:\d+\]/, "[0:0]")).join("\n");
}

export async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + 15_000; performance.now() < end; await sleep(25)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  return assert.fail(`not within 15 s: ${what}`);
}
