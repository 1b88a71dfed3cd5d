const address = "10.96.0.10";
const labels = { "k8s-app": "kube-dns" };

/** Cluster DNS where it usually is, answering a name that is real: `kubernetes.default.svc.cluster.local`. */
export function dnsManifest(image: string): readonly object[] {
  const port = (protocol: string): object => ({
    name: `dns-${protocol.toLowerCase()}`, port: 53, targetPort: 53, protocol,
  });
  return [{
    apiVersion: "v1", kind: "Service", metadata: { name: "kube-dns", namespace: "kube-system", labels },
    spec: { clusterIP: address, selector: labels, ports: [port("UDP"), port("TCP")] },
  }, {
    apiVersion: "v1", kind: "Pod", metadata: { name: "kube-dns", namespace: "kube-system", labels },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{
        name: "dnsmasq", image, imagePullPolicy: "Never",
        command: [
          "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root", "--log-facility=-",
          "--host-record=kubernetes.default.svc.cluster.local,10.96.0.1",
          `--host-record=kube-dns.kube-system.svc.cluster.local,${address}`,
        ],
        ports: [{ name: "dns", containerPort: 53, protocol: "UDP" }],
      }],
    },
  }];
}
