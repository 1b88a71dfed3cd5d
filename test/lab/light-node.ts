import { command, type CommandOptions, type CommandResult, output } from "./command.ts";
import { plug, route, type Wire } from "./wire.ts";

/** What a light node needs of its lab. */
export interface LightNodeHost {
  readonly id: string;
  get(args: readonly string[], options?: CommandOptions): Promise<string>;
  apply(manifest: readonly object[]): Promise<void>;
}

export interface LightPod {
  readonly netns: string;
  readonly ip: string;
}

const renewalMs = 5000;
const gateway = "169.254.1.1";

/**
 * A node without kubelet or containers: a network namespace for it and one for each pod, and the Node, Lease and Pod
 * objects that a kubelet would keep. For tests that need many pods or much change.
 */
export class LightNode {
  readonly name: string;
  readonly netns: string;
  readonly internalIP: string;
  readonly podCIDR: string;
  readonly #host: LightNodeHost;
  #renewal: NodeJS.Timeout | undefined;
  #pods = 0;

  private constructor(host: LightNodeHost, name: string, internalIP: string, podCIDR: string) {
    this.#host = host;
    this.name = name;
    this.internalIP = internalIP;
    this.podCIDR = podCIDR;
    this.netns = `tw${host.id}-${name}`;
  }

  /** @param index number of the node in the lab, from 0; its /24 follows from it. */
  static async start(host: LightNodeHost, wire: Wire, name: string, index: number): Promise<LightNode> {
    const node = new LightNode(host, name, wire.nodeAddress(index), `10.201.${index + 1}.0/24`);
    await output(["ip", "netns", "add", node.netns]);
    await plug(wire, node.netns, name, node.internalIP);
    await node.exec(["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=1"]);
    await route(wire.netns, node.podCIDR, node.internalIP);
    await node.#register();
    return node;
  }

  /** Runs a command in the node's network namespace. */
  exec(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return command(["nsenter", `--net=/run/netns/${this.netns}`, "--", ...argv], options);
  }

  /** A pod as a routed network namespace, with its object Running and Ready. */
  async pod(namespace: string, name: string, labels: Readonly<Record<string, string>> = {}): Promise<LightPod> {
    const number = (this.#pods += 1);
    const ip = this.podCIDR.replace("0/24", String(number + 1));
    const netns = `${this.netns}-${number}`;
    await output(["ip", "netns", "add", netns]);
    const onNode = ["ip", "-n", this.netns];
    const port = `pod${number}`;
    await output([...onNode, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", netns]);
    await output([...onNode, "link", "set", port, "up"]);
    await output([...onNode, "address", "add", `${gateway}/32`, "dev", port]);
    await output([...onNode, "route", "add", `${ip}/32`, "dev", port]);
    const inPod = ["ip", "-n", netns];
    for (const link of ["lo", "eth0"]) await output([...inPod, "link", "set", link, "up"]);
    await output([...inPod, "address", "add", `${ip}/32`, "dev", "eth0"]);
    await output([...inPod, "route", "add", gateway, "dev", "eth0"]);
    await output([...inPod, "route", "add", "default", "via", gateway]);
    await this.#announce(namespace, name, labels, ip);
    return { netns, ip };
  }

  /** Stops the heartbeat; the lab removes the namespaces. */
  stop(): void {
    clearInterval(this.#renewal);
  }

  async #register(): Promise<void> {
    const labels = { "kubernetes.io/hostname": this.name, "kubernetes.io/os": "linux" };
    const spec = { podCIDR: this.podCIDR, podCIDRs: [this.podCIDR] };
    await this.#host.apply([{ apiVersion: "v1", kind: "Node", metadata: { name: this.name, labels }, spec }]);
    const now = new Date().toISOString();
    await this.#patchStatus(["node", this.name], {
      addresses: [{ type: "InternalIP", address: this.internalIP }, { type: "Hostname", address: this.name }],
      conditions: [{
        type: "Ready", status: "True", reason: "LightNode", lastHeartbeatTime: now, lastTransitionTime: now,
      }],
    });
    await this.#renew();
    this.#renewal = setInterval(() => {
      // One missed renewal is nothing; many make the node NotReady, which a test then sees.
      this.#renew().catch(() => undefined);
    }, renewalMs);
    this.#renewal.unref();
  }

  async #renew(): Promise<void> {
    const renewTime = new Date().toISOString().replace("Z", "000Z");
    await this.#host.apply([{
      apiVersion: "coordination.k8s.io/v1", kind: "Lease",
      metadata: { name: this.name, namespace: "kube-node-lease" },
      spec: { holderIdentity: this.name, leaseDurationSeconds: 40, renewTime },
    }]);
  }

  async #announce(
    namespace: string, name: string, labels: Readonly<Record<string, string>>, ip: string,
  ): Promise<void> {
    await this.#host.apply([{
      apiVersion: "v1", kind: "Pod", metadata: { namespace, name, labels },
      spec: {
        nodeName: this.name, terminationGracePeriodSeconds: 0, containers: [{ name: "light", image: "none" }],
      },
    }]);
    const now = new Date().toISOString();
    await this.#patchStatus(["pod", name, `--namespace=${namespace}`], {
      phase: "Running", hostIP: this.internalIP, hostIPs: [{ ip: this.internalIP }], podIP: ip, podIPs: [{ ip }],
      startTime: now,
      conditions: ["Initialized", "ContainersReady", "Ready"].map((type) => (
        { type, status: "True", lastTransitionTime: now }
      )),
      containerStatuses: [{
        name: "light", image: "none", imageID: "none", ready: true, restartCount: 0, started: true,
        state: { running: { startedAt: now } },
      }],
    });
  }

  async #patchStatus(which: readonly string[], status: object): Promise<void> {
    await this.#host.get([
      "patch", ...which, "--subresource=status", "--type=strategic", `--patch=${JSON.stringify({ status })}`,
    ]);
  }
}
