import type { ChildProcessByStdio } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A node as a network namespace of its own, with hosts behind it: local pods by /32 routes, or strangers. */
export class ScratchNetwork {
  readonly #name = `twe${randomBytes(3).toString("hex")}`;
  readonly #namespaces: string[] = [];
  readonly #workers: Worker[] = [];

  /** @param hosts addresses of each host, by name. */
  static async create(hosts: Readonly<Record<string, readonly string[]>>): Promise<ScratchNetwork> {
    const network = new ScratchNetwork();
    const node = await network.#addNamespace("node");
    await network.inNode("sysctl", "-qw", "net.ipv4.ip_forward=1");
    for (const [name, addresses] of Object.entries(hosts)) await network.#addHost(node, name, addresses);
    return network;
  }

  namespace(host: string): string {
    return `${this.#name}-${host}`;
  }

  /** A Node program inside the namespace of a host, or of `node` itself. */
  async worker(host: string, program: string, ...args: readonly string[]): Promise<Worker> {
    const inHost = ["netns", "exec", this.namespace(host), process.execPath];
    const worker = await Worker.start("ip", [...inHost, program, ...args]);
    this.#workers.push(worker);
    return worker;
  }

  /** Output of a command inside the node. */
  async inNode(...command: readonly string[]): Promise<string> {
    const { stdout } = await run("ip", ["netns", "exec", this.namespace("node"), ...command], { maxBuffer: 1 << 26 });
    return stdout;
  }

  async remove(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    for (const namespace of this.#namespaces) await run("ip", ["netns", "delete", namespace]);
  }

  async #addNamespace(host: string): Promise<string> {
    const namespace = this.namespace(host);
    await run("ip", ["netns", "add", namespace]);
    this.#namespaces.push(namespace);
    await run("ip", ["-n", namespace, "link", "set", "lo", "up"]);
    return namespace;
  }

  async #addHost(node: string, name: string, addresses: readonly string[]): Promise<void> {
    const host = await this.#addNamespace(name);
    const inHost = (...args: readonly string[]) => run("ip", ["-n", host, ...args]);
    const onNode = (...args: readonly string[]) => run("ip", ["-n", node, ...args]);
    await onNode("link", "add", `to-${name}`, "type", "veth", "peer", "name", "eth0", "netns", host);
    await onNode("link", "set", `to-${name}`, "up");
    await onNode("address", "add", "169.254.1.1/32", "dev", `to-${name}`);
    await inHost("link", "set", "eth0", "up");
    for (const address of addresses) {
      await inHost("address", "add", `${address}/32`, "dev", "eth0");
      await onNode("route", "add", `${address}/32`, "dev", `to-${name}`);
    }
    await inHost("route", "add", "169.254.1.1", "dev", "eth0", "src", addresses[0] ?? "");
    await inHost("route", "add", "default", "via", "169.254.1.1", "src", addresses[0] ?? "");
  }
}

/** A child that answers orders, one JSON object a line each way. */
export class Worker {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, (outcome: unknown) => void>();
  #orders = 0;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
  }

  static start(command: string, args: readonly string[]): Promise<Worker> {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    const worker = new Worker(child);
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => reject(new Error(`${args.at(-1)} ended with ${code}`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line === "ready") resolve(worker);
        else worker.#answer(line);
      });
    });
  }

  order<Outcome>(order: object): Promise<Outcome> {
    const id = (this.#orders += 1);
    this.#child.stdin.write(`${JSON.stringify({ id, order })}\n`);
    return new Promise((resolve) => this.#waiting.set(id, (outcome) => resolve(outcome as Outcome)));
  }

  /** @param signal `SIGKILL` to end it as a crash does. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("close", resolve));
    this.#child.kill(signal);
    await ended;
  }

  #answer(line: string): void {
    const { id, outcome } = JSON.parse(line) as { id: number; outcome: unknown };
    this.#waiting.get(id)?.(outcome);
    this.#waiting.delete(id);
  }
}
