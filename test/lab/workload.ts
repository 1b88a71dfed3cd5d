export interface WorkloadOptions {
  readonly namespace: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Node to run on; without it the scheduler decides. */
  readonly node?: string;
  readonly tcp?: readonly number[];
  readonly udp?: readonly number[];
  /** What it asks for: its share of a busy machine. Default 100m. */
  readonly cpu?: string;
}

/** A pod that answers with its name; Ready as soon as it listens. */
export function workloadManifest(options: WorkloadOptions, image: string): object {
  const { namespace, name, labels = {}, tcp = [8080], udp = [8080], cpu = "100m" } = options;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, labels },
    spec: {
      // Grace is for programs that have something to finish.
      terminationGracePeriodSeconds: 0,
      enableServiceLinks: false,
      ...(options.node === undefined ? {} : { nodeSelector: { "kubernetes.io/hostname": options.node } }),
      containers: [{
        name: "server", image, imagePullPolicy: "Never",
        // Without a request a pod gets next to no processor time beside a busy test, and answers as if it were cut off.
        resources: { requests: { cpu } },
        args: ["serve", `-name=${name}`, `-tcp=${tcp.join()}`, `-udp=${udp.join()}`],
      }],
    },
  };
}
