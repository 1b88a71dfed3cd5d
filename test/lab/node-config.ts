import { join } from "node:path";
import { pauseImage } from "../image/images.ts";

/** How pods are joined to their node: `ptp` routes each, `bridge` puts them on one Linux bridge. */
export type Wiring = "ptp" | "bridge";

export interface NodeFacts {
  readonly lab: string;
  readonly name: string;
  readonly address: string;
  readonly podCIDR: string;
  readonly wiring: Wiring;
  /** The node's own folder. */
  readonly directory: string;
  /** The lab's certificate authority. */
  readonly authorityFile: string;
}

/** The node's containerd: nothing of it is shared with the machine's own. */
export function containerdConfig(node: NodeFacts): string {
  const cri = "plugins.\"io.containerd.grpc.v1.cri\"";
  return `version = 2
root = "${join(node.directory, "containerd")}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "/run/containerd/containerd.sock"
[${cri}]
  sandbox_image = "${pauseImage}"
  # The lab may run where raising a process's OOM protection is not allowed.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [${cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${join(node.directory, "cni")}"
  [${cri}.containerd]
    snapshotter = "overlayfs"
  [${cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [${cri}.containerd.runtimes.runc.options]
      SystemdCgroup = false
`;
}

/** The distribution's CNI plugins; none of them enforces a NetworkPolicy. */
export function cniConfig(node: NodeFacts): string {
  const ipam = {
    type: "host-local", ranges: [[{ subnet: node.podCIDR }]], routes: [{ dst: "0.0.0.0/0" }],
    dataDir: join(node.directory, "cni-addresses"),
  };
  const plugin = node.wiring === "ptp"
    ? { type: "ptp", ipMasq: false, ipam }
    : { type: "bridge", bridge: "cni0", isGateway: true, hairpinMode: true, ipMasq: false, ipam };
  return JSON.stringify({ cniVersion: "0.4.0", name: "lab", plugins: [plugin] });
}

/** KubeletConfiguration, as JSON, which is YAML too. */
export function kubeletConfig(node: NodeFacts): string {
  return JSON.stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
    authentication: {
      anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: node.authorityFile },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: join(node.directory, "kubelet.crt"),
    tlsPrivateKeyFile: join(node.directory, "kubelet.key"),
    clusterDNS: ["10.96.0.10"],
    clusterDomain: "cluster.local",
    resolvConf: join(node.directory, "resolv.conf"),
    podLogsDir: join(node.directory, "pod-logs"),
    volumePluginDir: join(node.directory, "volume-plugins"),
    // No hierarchy of control groups for pods: the machine's own may be of either version and is left alone.
    cgroupDriver: "cgroupfs", cgroupsPerQOS: false, enforceNodeAllocatable: [], failCgroupV1: false,
    failSwapOn: false,
    localStorageCapacityIsolation: false,
    // A full disk of a developer's machine must not evict the pods of a test.
    evictionHard: { "nodefs.available": "0%", "imagefs.available": "0%", "memory.available": "0%" },
    imageGCHighThresholdPercent: 100,
    nodeStatusUpdateFrequency: "4s",
    syncFrequency: "10s",
    fileCheckFrequency: "10s",
    kubeAPIQPS: 100, kubeAPIBurst: 200,
    registryPullQPS: 0, serializeImagePulls: false,
    shutdownGracePeriod: "0s",
  });
}
