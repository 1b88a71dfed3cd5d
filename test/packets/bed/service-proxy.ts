import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { componentPath } from "../../controlplane/build.mjs";
import { command, output } from "../../lab/command.ts";
import { Daemon } from "../../lab/daemon.ts";
import { waitFor } from "../../lab/wait.ts";
import { type NodeHost, NODES } from "./address-plan.ts";
import type { Bed } from "./bed.ts";
import type { ServicePlane } from "./service-plane.ts";

const clusterNets = "10.101.0.0/16,fd00:10:101::/48";
const tools = ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/** kube-proxy on each node of a bed: both families, by the same iptables backend as the firewall. */
export class ServiceProxy {
  readonly #daemons: readonly Daemon[];

  private constructor(daemons: readonly Daemon[]) {
    this.#daemons = daemons;
  }

  /** Returns when every Service is in force on both nodes. */
  static async start(bed: Bed, { plane, all }: ServicePlane, backend: Backend): Promise<ServiceProxy> {
    const binaries = await toolsOf(bed.network.folder, backend);
    const user = await plane.kubeconfigForUser("proxy.kubeconfig", { user: "system:kube-proxy" });
    for (const node of NODES) await bed.prober.relay(node, new URL(plane.url).host);
    const proxy = new ServiceProxy(NODES.map((node) => startOn(node, bed, user, binaries)));
    try {
      for (const [index, node] of NODES.entries()) {
        const daemon = proxy.#daemons[index];
        await waitFor(`the Services on node ${node}`, async () => {
          daemon?.assertRunning();
          const saved = await Promise.all(["iptables", "ip6tables"].map((tool) => (
            command([...bed.network.enter(node), `${tool}-${backend}-save`, "--table=nat"])
          )));
          const holds = (rules: string): boolean => all.every(({ nodePort }) => rules.includes(`--dport ${nodePort} `));
          return saved.every(({ stdout }) => holds(stdout)) ? true : undefined;
        }, { timeoutMs: 30_000, everyMs: 50, ...(daemon && { log: daemon.log }) });
      }
      return proxy;
    } catch (error) {
      await proxy.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => daemon.stop()));
  }
}

function startOn(node: NodeHost, bed: Bed, kubeconfig: string, binaries: string): Daemon {
  const { network } = bed;
  const argv = [
    // It ends with this process, however that ends.
    "setpriv", "--pdeathsig", "KILL", "--", ...network.enter(node),
    componentPath("kube-proxy"), `--kubeconfig=${kubeconfig}`, `--hostname-override=${node}`, "--proxy-mode=iptables",
    `--cluster-cidr=${clusterNets}`, "--iptables-min-sync-period=50ms",
    // These are settings of the machine, not of a network namespace.
    "--conntrack-max-per-core=0", "--conntrack-min=0",
  ];
  const env = {
    PATH: `${binaries}:${process.env["PATH"] ?? ""}`, HOME: network.folder,
    XTABLES_LOCKFILE: join(network.folder, `${node}.lock`),
  };
  return Daemon.start(`kube-proxy on ${node}`, argv, { log: join(network.folder, `${node}-proxy.log`), env });
}

/** A folder in which `iptables` is the backend's. */
async function toolsOf(folder: string, backend: Backend): Promise<string> {
  const binaries = join(folder, `tools-${backend}`);
  await mkdir(binaries, { recursive: true });
  for (const tool of tools) {
    const [family = "", verb] = tool.split("-");
    const real = [family, backend, ...(verb === undefined ? [] : [verb])].join("-");
    const path = (await output(["which", real])).trim();
    await symlink(path, join(binaries, tool));
  }
  return binaries;
}
