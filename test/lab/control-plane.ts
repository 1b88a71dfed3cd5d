import { generateKeyPairSync } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { Agent, get } from "node:https";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { componentPath } from "../controlplane/build.mjs";
import { Authority, type Subject } from "./authority.ts";
import { command, type CommandOptions, type CommandResult, output } from "./command.ts";
import { Daemon } from "./daemon.ts";
import { kubeconfig } from "./kubeconfig.ts";
import { ownedFolder } from "./owner.ts";
import { waitFor } from "./wait.ts";

export interface ControlPlaneOptions {
  /** Garbage collection, ServiceAccounts, DaemonSets, Deployments, endpoints, … (default false). */
  readonly controllerManager?: boolean;
  /** Default false. */
  readonly scheduler?: boolean;
  /** Where the API server listens (default 127.0.0.1). */
  readonly address?: string;
  /** A command that runs each component in the place it belongs, such as `nsenter --net=…` (default: here). */
  readonly wrapper?: readonly string[];
  /** Folder for state and logs, kept by the caller (default: a temporary one, removed by `stop`). */
  readonly directory?: string;
  /** Environment that marks each process as part of a lab. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ServiceAccountName {
  readonly namespace: string;
  readonly name: string;
}

/** A Service has an address of the first, and one of the second too if it asks for both families. */
const serviceCIDRs = ["10.96.0.0/16", "fd00:10:96::/112"];
export const podCIDR = "10.201.0.0/16";
const startTimeoutMs = 60_000;

/** A real etcd and API server, with the real controllers on request; without nodes, and without root. */
export class ControlPlane {
  /** The administrator's. */
  readonly kubeconfig: string;
  readonly url: string;
  /** One JSON event a line, level Metadata for every request. */
  readonly auditLog: string;
  /** Folder of kubectl and the other components. */
  readonly binaries: string;
  readonly directory: string;
  readonly authority: Authority;
  readonly #options: ControlPlaneOptions;
  readonly #daemons: Daemon[] = [];
  readonly #port: number;
  readonly #etcdPort: number;

  private constructor(
    directory: string, options: ControlPlaneOptions, authority: Authority, ports: readonly [number, number],
  ) {
    this.directory = directory;
    this.#options = options;
    this.authority = authority;
    [this.#port, this.#etcdPort] = ports;
    this.url = `https://${options.address ?? "127.0.0.1"}:${this.#port}`;
    this.kubeconfig = join(directory, "admin.kubeconfig");
    this.auditLog = join(directory, "audit.log");
    this.binaries = dirname(componentPath("kubectl"));
  }

  /** Ready when the API server says so and the default namespace is there. */
  static async start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const directory = options.directory ?? await ownedFolder("tierwall-api-");
    await mkdir(directory, { recursive: true });
    const ports = options.address === undefined ? await freePorts() : [6443, 2379] as const;
    const plane = new ControlPlane(directory, options, await Authority.create(join(directory, "authority")), ports);
    process.once("exit", plane.#kill);
    try {
      await plane.#start();
      return plane;
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  /** Runs kubectl as the administrator. */
  kubectl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return command([componentPath("kubectl"), `--kubeconfig=${this.kubeconfig}`, ...args], {
      ...options, env: { KUBECACHEDIR: join(this.directory, "kubectl-cache"), ...options.env },
    });
  }

  /** Writes a kubeconfig with a client certificate. @returns its path. */
  async kubeconfigForUser(file: string, subject: Subject): Promise<string> {
    const path = join(this.directory, file);
    const keyPair = await this.authority.issue(subject);
    await writeFile(path, kubeconfig(this.url, this.authority.certificate, { keyPair }), { mode: 0o600 });
    return path;
  }

  /** Writes a kubeconfig with a token of a ServiceAccount that exists: what a pod of it could do. @returns its path. */
  async kubeconfigFor(
    account: ServiceAccountName, options: { readonly audience?: string; readonly durationSeconds?: number } = {},
  ): Promise<string> {
    const token = await output([
      componentPath("kubectl"), `--kubeconfig=${this.kubeconfig}`, "create", "token", account.name,
      `--namespace=${account.namespace}`, `--duration=${options.durationSeconds ?? 3600}s`,
      ...(options.audience === undefined ? [] : [`--audience=${options.audience}`]),
    ]);
    const path = join(this.directory, `${account.namespace}-${account.name}.kubeconfig`);
    const text = kubeconfig(this.url, this.authority.certificate, { token: token.trim() });
    await writeFile(path, text, { mode: 0o600 });
    return path;
  }

  /** Lets the components run on when this process ends: someone else will end them. */
  disown(): void {
    process.off("exit", this.#kill);
  }

  /** Stops every component, and removes the folder unless it is the caller's. */
  async stop(): Promise<void> {
    process.off("exit", this.#kill);
    for (const daemon of this.#daemons.splice(0).toReversed()) await daemon.stop();
    if (this.#options.directory === undefined) await rm(this.directory, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    await this.#writeFiles();
    const admin = { user: "tierwall-lab-admin", groups: ["system:masters"] };
    await this.kubeconfigForUser("admin.kubeconfig", admin);
    this.#run("etcd", this.#etcdArguments());
    const server = this.#run("kube-apiserver", this.#serverArguments());
    await this.#untilReady(server);
    const leader = "--leader-elect=false";
    if (this.#options.controllerManager === true) {
      const file = await this.kubeconfigForUser("controller-manager.kubeconfig", {
        user: "system:kube-controller-manager",
      });
      this.#run("kube-controller-manager", [
        `--kubeconfig=${file}`, leader, "--secure-port=0", "--use-service-account-credentials",
        `--service-account-private-key-file=${this.#path("accounts.key")}`, `--root-ca-file=${this.#path("ca.crt")}`,
        "--node-monitor-grace-period=20s", "--node-monitor-period=2s", "--kube-api-qps=200", "--kube-api-burst=400",
        "--concurrent-gc-syncs=5",
      ]);
    }
    if (this.#options.scheduler === true) {
      const file = await this.kubeconfigForUser("scheduler.kubeconfig", { user: "system:kube-scheduler" });
      this.#run("kube-scheduler", [`--kubeconfig=${file}`, leader, "--secure-port=0"]);
    }
  }

  #run(component: string, args: readonly string[]): Daemon {
    // A control plane of one process's own ends with it, also when that is killed; one of a lab is swept, or kept.
    const leash = this.#options.directory === undefined ? ["setpriv", "--pdeathsig", "KILL", "--"] : [];
    const argv = [...leash, ...(this.#options.wrapper ?? []), componentPath(component), ...args];
    const daemon = Daemon.start(component, argv, {
      log: this.#path(`${component}.log`), env: { ...this.#options.env, HOME: this.directory }, cwd: this.directory,
    });
    this.#daemons.push(daemon);
    return daemon;
  }

  #path(file: string): string {
    return join(this.directory, file);
  }

  async #writeFiles(): Promise<void> {
    const address = this.#options.address ?? "127.0.0.1";
    const serving = await this.authority.issue({
      user: "kube-apiserver",
      dnsNames: ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"],
      addresses: ["127.0.0.1", "10.96.0.1", ...(address === "127.0.0.1" ? [] : [address])],
    });
    const client = await this.authority.issue({ user: "kube-apiserver-kubelet-client", groups: ["system:masters"] });
    const accounts = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "sec1", format: "pem" },
    });
    const policy = { apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "Metadata" }] };
    const files: Readonly<Record<string, string>> = {
      "ca.crt": this.authority.certificate,
      "server.crt": serving.certificate, "server.key": serving.key,
      "kubelet-client.crt": client.certificate, "kubelet-client.key": client.key,
      "accounts.key": accounts.privateKey, "accounts.pub": accounts.publicKey,
      "audit-policy.yaml": JSON.stringify(policy),
    };
    for (const [name, text] of Object.entries(files)) await writeFile(this.#path(name), text, { mode: 0o600 });
  }

  #etcdArguments(): string[] {
    const url = `http://127.0.0.1:${this.#etcdPort}`;
    return [
      `--data-dir=${this.#path("etcd")}`, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`,
      // No peer ever comes; port 0 keeps two labs apart. Nothing here has to survive a power cut.
      "--listen-peer-urls=http://127.0.0.1:0", "--unsafe-no-fsync", "--log-level=warn",
    ];
  }

  #serverArguments(): string[] {
    const address = this.#options.address ?? "127.0.0.1";
    return [
      `--etcd-servers=http://127.0.0.1:${this.#etcdPort}`,
      `--bind-address=${address}`, `--advertise-address=${address}`, `--secure-port=${this.#port}`,
      // Endpoints on a loopback address are refused by validation.
      ...(address === "127.0.0.1" ? ["--endpoint-reconciler-type=none"] : []),
      `--tls-cert-file=${this.#path("server.crt")}`, `--tls-private-key-file=${this.#path("server.key")}`,
      `--client-ca-file=${this.#path("ca.crt")}`, "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction,PodSecurity",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${this.#path("accounts.pub")}`,
      `--service-account-signing-key-file=${this.#path("accounts.key")}`,
      `--service-cluster-ip-range=${serviceCIDRs.join(",")}`, "--allow-privileged",
      "--kubelet-preferred-address-types=InternalIP",
      `--kubelet-client-certificate=${this.#path("kubelet-client.crt")}`,
      `--kubelet-client-key=${this.#path("kubelet-client.key")}`,
      `--audit-policy-file=${this.#path("audit-policy.yaml")}`, `--audit-log-path=${this.auditLog}`,
      `--cert-dir=${this.#path("certificates")}`,
      "--max-requests-inflight=0", "--max-mutating-requests-inflight=0", "--enable-priority-and-fairness=false",
    ];
  }

  async #untilReady(server: Daemon): Promise<void> {
    const agent = new Agent({ ca: this.authority.certificate, keepAlive: false });
    await waitFor("the API server being ready", async () => {
      for (const daemon of this.#daemons) daemon.assertRunning();
      return await statusOf(`${this.url}/readyz`, agent) === 200 ? true : undefined;
    }, { timeoutMs: startTimeoutMs, log: server.log });
    await waitFor("the default namespace", async () => {
      const { code } = await this.kubectl(["get", "namespace", "default", "-o=name"]);
      return code === 0 ? true : undefined;
    }, { timeoutMs: startTimeoutMs, log: server.log });
  }

  readonly #kill = (): void => {
    for (const daemon of this.#daemons) daemon.kill();
  };
}

function statusOf(url: string, agent: Agent): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once("timeout", () => request.destroy(new Error("no answer within 2 s")));
    request.once("error", reject);
  });
}

/** Two ports nobody listens on now. */
async function freePorts(): Promise<readonly [number, number]> {
  const servers = [createServer(), createServer()];
  const ports = await Promise.all(servers.map((server) => new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  })));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [ports[0] ?? 0, ports[1] ?? 0];
}
