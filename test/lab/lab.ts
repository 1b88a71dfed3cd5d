import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { KubeClient } from "../../operator/kube/client.ts";
import { loadKubeConfig } from "../../operator/kube/config.ts";
import { objectPath, PODS } from "../../operator/kube/resource.ts";
import { buildTraffic } from "../image/build-traffic.mjs";
import { labImage } from "../image/images.ts";
import { command, type CommandOptions, type CommandResult } from "./command.ts";
import { seedRoot } from "./containerd-root.ts";
import { ControlPlane } from "./control-plane.ts";
import { dismantle, sweep } from "./dismantle.ts";
import { dnsManifest } from "./dns.ts";
import { LabNode } from "./lab-node.ts";
import { LightNode } from "./light-node.ts";
import type { Wiring } from "./node-config.ts";
import { labDirectory, labVariable, type LabRecord, startOf, writeRecord } from "./owner.ts";
import { Prober } from "./prober.ts";
import { waitFor } from "./wait.ts";
import { createWire, route, type Wire } from "./wire.ts";
import { workloadManifest, type WorkloadOptions } from "./workload.ts";

export interface LabOptions {
  /** Default 2. */
  readonly nodes?: number;
  /** Default `ptp`. */
  readonly wiring?: Wiring;
  /** Whether cluster DNS runs (default true). */
  readonly dns?: boolean;
  readonly log?: (line: string) => void;
}

/** A place inside a pod's network namespace. */
export interface PodNetns {
  /** A process of the pod, for `nsenter --target`. */
  readonly pid: number;
  /** Runs a program of the machine with the pod's network. */
  exec(argv: readonly string[], options?: CommandOptions): Promise<CommandResult>;
}

interface PodObject {
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly podIP?: string;
    readonly containerStatuses?: readonly { readonly name: string; readonly containerID?: string }[];
  };
}

/** A real cluster on this machine: control plane, nodes with kubelet, containerd and kube-proxy, DNS. Needs root. */
export class Lab {
  readonly id: string;
  readonly nodes: readonly LabNode[];
  readonly directory: string;
  readonly plane: ControlPlane;
  /** What is needed to take it apart. */
  readonly record: LabRecord;
  readonly #client: KubeClient;
  readonly #wire: Wire;
  readonly #traffic: string;
  readonly #probers: Prober[] = [];
  readonly #lightNodes: LightNode[] = [];

  private constructor(
    record: LabRecord, wire: Wire, plane: ControlPlane, nodes: readonly LabNode[], traffic: string,
  ) {
    this.#wire = wire;
    this.record = record;
    this.id = record.id;
    this.directory = labDirectory(record.id);
    this.plane = plane;
    this.nodes = nodes;
    this.#traffic = traffic;
    this.#client = new KubeClient(loadKubeConfig(plane.kubeconfig, {}));
  }

  /** Path of the administrator's kubeconfig, usable from the machine itself. */
  get kubeconfig(): string { return this.plane.kubeconfig; }
  get serverUrl(): string { return this.plane.url; }
  get auditLog(): string { return this.plane.auditLog; }

  /** A cluster whose nodes are Ready and whose DNS answers. What killed runs left is removed first. */
  static async start(options: LabOptions = {}): Promise<Lab> {
    const say = options.log ?? (() => { /* silent */ });
    await sweep();
    const seed = await seedRoot(say);
    const traffic = await buildTraffic();
    const id = randomBytes(3).toString("hex").slice(0, 5);
    const ownerStart = await startOf(process.pid) ?? "";
    let record: LabRecord = { id, uplink: "none", ownerPid: process.pid, ownerStart };
    await writeRecord(record);
    try {
      const wire = await createWire(id);
      record = { ...record, uplink: wire.uplink };
      await writeRecord(record);
      say(`lab ${id}: ${options.nodes ?? 2} nodes, control plane at ${wire.address}`);
      const nodes = createNodes(wire, options);
      const [plane] = await Promise.all([
        startControlPlane(wire),
        ...nodes.map((node) => node.prepare(wire, seed)),
      ]);
      await addRoutes(wire, nodes);
      const lab = new Lab(record, wire, plane, nodes, traffic);
      await lab.#joinNodes();
      if (options.dns !== false) await lab.#startDns();
      return lab;
    } catch (error) {
      if (process.env["TIERWALL_LAB_KEEP"] === undefined) await dismantle(record);
      throw error;
    }
  }

  /** Removes what killed runs left. */
  static sweep(): Promise<void> {
    return sweep();
  }

  /** Takes a lab apart by its id: for one that was kept. */
  static async remove(id: string): Promise<void> {
    await dismantle({ id, uplink: "none" });
  }

  /** Runs kubectl as the administrator. */
  kubectl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return this.plane.kubectl(args, options);
  }

  /** Output of kubectl. @throws if it fails. */
  async get(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const { stdout, stderr, code } = await this.kubectl(args, options);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr.trim()}`);
    return stdout;
  }

  /** Applies objects or YAML text. */
  async apply(manifest: string | readonly object[]): Promise<void> {
    const input = typeof manifest === "string" ? manifest
      : JSON.stringify({ apiVersion: "v1", kind: "List", items: manifest });
    await this.get(["apply", "--server-side", "--filename=-"], { input });
  }

  /** Starts a pod that answers on TCP and UDP ports with its name; ready when it listens. */
  async workload(options: WorkloadOptions): Promise<void> {
    await this.apply([workloadManifest(options, labImage)]);
  }

  /** Waits until pods are Ready. @param selector a label selector, or `--all`. */
  async podsReady(namespace: string, selector = "--all", timeoutMs = 60_000): Promise<void> {
    const which = selector === "--all" ? "--all" : `--selector=${selector}`;
    await waitFor(`pods of ${namespace} (${selector}) being Ready`, async () => {
      await this.get(["wait", "pod", which, "--for=condition=Ready", `--namespace=${namespace}`, "--timeout=5s"]);
      return true;
    }, { timeoutMs });
  }

  async podIP(namespace: string, pod: string): Promise<string> {
    const { status } = await this.#pod(namespace, pod);
    if (status.podIP === undefined) throw new Error(`pod ${namespace}/${pod} has no address yet`);
    return status.podIP;
  }

  async podNetns(namespace: string, pod: string): Promise<PodNetns> {
    const pid = await this.#containerPid(namespace, pod);
    return { pid, exec: (argv, options) => command([...enterNetwork(pid), ...argv], options) };
  }

  /** A prober inside a pod's network namespace; `stop` of the lab ends it. */
  async prober(namespace: string, pod: string): Promise<Prober> {
    const pid = await this.#containerPid(namespace, pod);
    const argv = [...enterNetwork(pid), this.#traffic, "probe"];
    const prober = new Prober(argv, { [labVariable]: this.id });
    this.#probers.push(prober);
    return prober;
  }

  /** Adds a node without a kubelet. */
  async lightNode(name: string): Promise<LightNode> {
    const index = this.nodes.length + this.#lightNodes.length;
    const node = await LightNode.start(this, this.#wire, name, index);
    for (const { netns } of this.nodes) await route(netns, node.podCIDR, node.internalIP);
    for (const other of this.#lightNodes) {
      await route(other.netns, node.podCIDR, node.internalIP);
      await route(node.netns, other.podCIDR, other.internalIP);
    }
    for (const other of this.nodes) await route(node.netns, other.podCIDR, other.internalIP);
    this.#lightNodes.push(node);
    return node;
  }

  /** A prober inside any network namespace under /run/netns, such as a light pod's. */
  proberIn(netns: string): Prober {
    const argv = ["nsenter", `--net=/run/netns/${netns}`, "--", this.#traffic, "probe"];
    const prober = new Prober(argv, { [labVariable]: this.id });
    this.#probers.push(prober);
    return prober;
  }

  /** Kills the main process of a container as a crash does. @param container default: the pod's first. */
  async killContainer(namespace: string, pod: string, container?: string): Promise<void> {
    process.kill(await this.#containerPid(namespace, pod, container), "SIGKILL");
  }

  /** Leaves the lab up when its owner ends; `Lab.remove(id)` takes it apart. */
  async keep(): Promise<void> {
    await this.#client.close();
    this.plane.disown();
    await writeRecord({ ...this.record, kept: true });
  }

  /** Removes every namespace, interface, mount, process, control group and file of it. */
  async stop(): Promise<void> {
    for (const node of this.#lightNodes) node.stop();
    await Promise.all(this.#probers.splice(0).map((prober) => prober.stop()));
    await this.#client.close();
    this.plane.disown();
    await dismantle(this.record);
  }

  async #joinNodes(): Promise<void> {
    // Made before the kubelets come, so that the pod CIDR is what the CNI configuration says.
    await this.apply(this.nodes.map((node) => ({
      apiVersion: "v1", kind: "Node", metadata: { name: node.name },
      spec: { podCIDR: node.podCIDR, podCIDRs: [node.podCIDR] },
    })));
    await Promise.all(this.nodes.map((node) => node.join(this.plane)));
    await waitFor("every node being Ready", async () => {
      await this.get(["wait", "node", "--all", "--for=condition=Ready", "--timeout=2s"]);
      return true;
    }, { timeoutMs: 60_000, log: `${join(this.directory, "node-1")}-kubelet.log` });
    await waitFor("the default ServiceAccount", async () => {
      await this.get(["get", "serviceaccount", "default", "--namespace=default"]);
      await this.get(["get", "serviceaccount", "default", "--namespace=kube-system"]);
      return true;
    }, { timeoutMs: 60_000, log: join(this.plane.directory, "kube-controller-manager.log") });
  }

  async #startDns(): Promise<void> {
    await this.apply(dnsManifest(labImage));
    await this.podsReady("kube-system", "k8s-app=kube-dns");
  }

  async #pod(namespace: string, pod: string): Promise<PodObject> {
    // Asked for each probe's ends: kubectl would take tenths of a second for each.
    return await this.#client.request({ method: "GET", path: objectPath(PODS, { namespace, name: pod }) }) as PodObject;
  }

  async #containerPid(namespace: string, pod: string, container?: string): Promise<number> {
    const { spec, status } = await this.#pod(namespace, pod);
    const node = this.nodes.find(({ name }) => name === spec.nodeName);
    const found = status.containerStatuses?.find(({ name }) => container === undefined || name === container);
    const id = found?.containerID?.replace("containerd://", "");
    if (node === undefined || id === undefined) throw new Error(`pod ${namespace}/${pod} runs no such container`);
    return node.pidOf(id);
  }
}

function createNodes(wire: Wire, options: LabOptions): LabNode[] {
  const directory = labDirectory(wire.id);
  return Array.from({ length: options.nodes ?? 2 }, (_, index) => {
    const name = `node-${index + 1}`;
    return new LabNode({
      lab: wire.id, name, address: wire.nodeAddress(index), podCIDR: `10.201.${index + 1}.0/24`,
      wiring: options.wiring ?? "ptp", directory: join(directory, name),
      authorityFile: join(directory, "control-plane", "ca.crt"),
    });
  });
}

/** Every node, and the control plane, reaches every other node's pods through that node, as on a routed network. */
async function addRoutes(wire: Wire, nodes: readonly LabNode[]): Promise<void> {
  for (const { name, podCIDR, internalIP } of nodes) {
    await route(wire.netns, podCIDR, internalIP);
    for (const other of nodes) {
      if (other.name !== name) await route(other.netns, podCIDR, internalIP);
    }
  }
}

async function startControlPlane(wire: Wire): Promise<ControlPlane> {
  const directory = join(labDirectory(wire.id), "control-plane");
  await mkdir(directory, { recursive: true });
  return ControlPlane.start({
    controllerManager: true, scheduler: true, address: wire.address, directory,
    wrapper: ["nsenter", `--net=/run/netns/${wire.netns}`, "--"], env: { [labVariable]: wire.id },
  });
}

function enterNetwork(pid: number): string[] {
  return ["nsenter", `--target=${pid}`, "--net", "--"];
}
