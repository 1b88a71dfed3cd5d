import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { componentPath } from "../controlplane/build.mjs";
import { command, type CommandOptions, type CommandResult, output } from "./command.ts";
import { cloneRoot } from "./containerd-root.ts";
import { type ControlPlane, podCIDR as clusterCIDR } from "./control-plane.ts";
import { Daemon } from "./daemon.ts";
import { cniConfig, containerdConfig, kubeletConfig, type NodeFacts } from "./node-config.ts";
import { labVariable } from "./owner.ts";
import { waitFor } from "./wait.ts";
import { plug, type Wire } from "./wire.ts";

const startTimeoutMs = 60_000;
const tasks = "io.containerd.runtime.v2.task/k8s.io";

/** Makes the node's private world, then waits: the mount namespace lives as long as this does. */
const holderScript = `set -e
sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1
for directory in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs "$directory"; done
mkdir -p /run/lock /run/netns /var/lib/tierwall
touch /run/holder-ready
exec sleep infinity`;

/** A node: a network namespace, a mount namespace with its own /run, containerd, kubelet and kube-proxy. */
export class LabNode {
  readonly name: string;
  readonly netns: string;
  readonly internalIP: string;
  readonly podCIDR: string;
  readonly #facts: NodeFacts;
  readonly #env: Readonly<Record<string, string>>;
  #holder: Daemon | undefined;

  constructor(facts: NodeFacts) {
    this.#facts = facts;
    this.name = facts.name;
    this.netns = `tw${facts.lab}-${facts.name}`;
    this.internalIP = facts.address;
    this.podCIDR = facts.podCIDR;
    this.#env = { [labVariable]: facts.lab, HOME: facts.directory };
  }

  /** Namespaces, files and containerd: what needs no API server. */
  async prepare(wire: Wire, seed: string): Promise<void> {
    const { directory } = this.#facts;
    await mkdir(join(directory, "cni"), { recursive: true });
    await output(["ip", "netns", "add", this.netns]);
    await plug(wire, this.netns, this.name, this.internalIP);
    const holder = Daemon.start(`${this.name} holder`, [
      "nsenter", `--net=/run/netns/${this.netns}`, "unshare", "--mount", "--propagation=private",
      "sh", "-c", holderScript,
    ], { log: this.#log("holder"), env: this.#env });
    this.#holder = holder;
    await writeFile(join(directory, "containerd.toml"), containerdConfig(this.#facts));
    await writeFile(join(directory, "cni", "10-lab.conflist"), cniConfig(this.#facts));
    await writeFile(join(directory, "kubelet.json"), kubeletConfig(this.#facts));
    await writeFile(join(directory, "resolv.conf"), "");
    await cloneRoot(seed, join(directory, "containerd"));
    await waitFor(`${this.name} having its own mounts`, async () => {
      holder.assertRunning();
      return (await this.exec(["test", "-e", "/run/holder-ready"])).code === 0 ? true : undefined;
    }, { timeoutMs: startTimeoutMs, log: holder.log });
    const containerd = this.#run("containerd", [
      "containerd", "--config", join(directory, "containerd.toml"),
    ]);
    await waitFor(`containerd of ${this.name} answering`, async () => {
      containerd.assertRunning();
      return (await this.exec([...this.#ctr(), "version"])).code === 0 ? true : undefined;
    }, { timeoutMs: startTimeoutMs, log: containerd.log });
  }

  /** kubelet and kube-proxy, against an API server that answers. */
  async join(plane: ControlPlane): Promise<void> {
    const { directory } = this.#facts;
    const user = `system:node:${this.name}`;
    const serving = await plane.authority.issue({ user, groups: ["system:nodes"], addresses: [this.internalIP] });
    await writeFile(join(directory, "kubelet.crt"), serving.certificate);
    await writeFile(join(directory, "kubelet.key"), serving.key, { mode: 0o600 });
    const kubeletConfigFile = join(directory, "kubelet.json");
    const kubelet = await plane.kubeconfigForUser(`${this.name}-kubelet.kubeconfig`, { user, groups: ["system:nodes"] });
    this.#run("kubelet", [
      componentPath("kubelet"), `--config=${kubeletConfigFile}`, `--kubeconfig=${kubelet}`,
      `--hostname-override=${this.name}`, `--node-ip=${this.internalIP}`, `--root-dir=${join(directory, "kubelet")}`,
      `--cert-dir=${join(directory, "kubelet-certificates")}`,
    ]);
    const proxy = await plane.kubeconfigForUser(`${this.name}-proxy.kubeconfig`, { user: "system:kube-proxy" });
    this.#run("kube-proxy", [
      componentPath("kube-proxy"), `--kubeconfig=${proxy}`, `--hostname-override=${this.name}`,
      "--proxy-mode=iptables", `--cluster-cidr=${clusterCIDR}`, "--iptables-min-sync-period=50ms",
      // These are settings of the machine, not of a network namespace.
      "--conntrack-max-per-core=0", "--conntrack-min=0",
    ]);
  }

  /** Runs a command in the node's network and mount namespaces. */
  exec(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return command([...this.enter(), ...argv], options);
  }

  /** The words that put a command into the node's namespaces. */
  enter(): string[] {
    const pid = this.#holder?.pid;
    if (pid === undefined) throw new Error(`${this.name} has not been started`);
    return ["nsenter", `--target=${pid}`, "--mount", "--net", "--"];
  }

  /** Pid, as the machine sees it, of a container that runs on this node. */
  async pidOf(containerId: string): Promise<number> {
    // What containerd's shim writes down: asking containerd takes a process and tenths of a second.
    const path = `/proc/${this.#holder?.pid}/root/run/containerd/${tasks}/${containerId}/init.pid`;
    const text = await readFile(path, "utf8").catch(() => "");
    if (!/^\d+$/.test(text)) throw new Error(`${this.name} runs no container ${containerId}`);
    return Number(text);
  }

  #ctr(): string[] {
    return ["ctr", "--namespace", "k8s.io"];
  }

  #log(component: string): string {
    return `${this.#facts.directory}-${component}.log`;
  }

  #run(component: string, argv: readonly string[]): Daemon {
    return Daemon.start(`${component} of ${this.name}`, [...this.enter(), ...argv], {
      log: this.#log(component), env: this.#env,
    });
  }
}
