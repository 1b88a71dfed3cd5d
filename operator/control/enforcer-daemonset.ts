import { MANAGED_BY_LABEL, type OwnerReference } from "../api/meta.ts";
import type { Settings } from "../api/settings.ts";
import type { ApiObject } from "../kube/apply.ts";

export const ENFORCER_NAME = "tierwall-enforcer";
/** Of the projected token by which an enforcer shows itself to the operator's stream. */
export const STREAM_AUDIENCE = "tierwall-operator";
/** Its pods are looked up by these labels when they show their tokens. */
export const ENFORCER_POD_LABELS = {
  "app.kubernetes.io/name": ENFORCER_NAME,
  "app.kubernetes.io/part-of": "tierwall",
} as const;

/** On the node, and in the enforcer's pod. */
const STATE_DIRECTORY = "/var/lib/tierwall";

export interface EnforcerPlacement {
  readonly namespace: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  /** `<address>:<port>` that the enforcers dial: the Service's cluster IP, so that they need no DNS. */
  readonly operator: string;
  /** The operator's Deployment; `undefined` when it runs outside the cluster, in development. */
  readonly owner: OwnerReference | undefined;
}

/** The DaemonSet that puts one enforcer on every Linux node, as plain JSON for server-side apply. */
export function enforcerDaemonSet(
  settings: Settings,
  placement: EnforcerPlacement,
): ApiObject & { readonly spec: unknown } {
  const { namespace, owner } = placement;
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: {
      name: ENFORCER_NAME,
      namespace,
      labels: { ...ENFORCER_POD_LABELS, [MANAGED_BY_LABEL]: "tierwall" },
      ...(owner && { ownerReferences: [owner] }),
    },
    spec: {
      selector: { matchLabels: ENFORCER_POD_LABELS },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "10%" } },
      template: { metadata: { labels: ENFORCER_POD_LABELS }, spec: podSpec(settings, placement) },
    },
  };
}

/** Every node pays for the room that JavaScript takes before it cleans up: little is enough, it has time. */
export const NODE_OPTIONS: readonly string[] = [
  "--max-semi-space-size=1", "--optimize-for-size", "--single-threaded-gc", "--v8-pool-size=1",
];

function podSpec(settings: Settings, { image, imagePullPolicy, operator, namespace }: EnforcerPlacement) {
  const { cpu, memory } = settings.enforcerResources;
  const { enforcerProbes: probes, enforcerMetrics: metrics } = settings.ports;
  return {
    serviceAccountName: ENFORCER_NAME,
    hostNetwork: true,
    // On the host network the cluster's DNS may itself depend on what we program; addresses are given instead.
    dnsPolicy: "Default",
    priorityClassName: "system-node-critical",
    nodeSelector: { "kubernetes.io/os": "linux" },
    tolerations: [{ operator: "Exists" }],
    terminationGracePeriodSeconds: 5,
    containers: [
      {
        name: "enforcer",
        image,
        imagePullPolicy,
        command: ["/usr/bin/node", ...NODE_OPTIONS, "/app/enforcer.mjs"],
        args: [
          `--operator=${operator}`,
          `--operator-name=tierwall-operator.${namespace}.svc`,
          "--ca-file=/var/run/tierwall/ca/ca.crt",
          "--token-file=/var/run/tierwall/token/token",
          `--probe-address=127.0.0.1:${probes}`,
          ...(metrics === 0 ? [] : [`--metrics-port=${metrics}`]),
          `--state-directory=${STATE_DIRECTORY}`,
        ],
        env: [{ name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }],
        resources: { requests: { cpu, memory }, limits: { memory } },
        securityContext: {
          runAsUser: 0,
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW"] },
          seccompProfile: { type: "RuntimeDefault" },
        },
        livenessProbe: {
          httpGet: { host: "127.0.0.1", port: probes, path: "/healthz" },
          periodSeconds: 10,
          failureThreshold: 6,
        },
        readinessProbe: { httpGet: { host: "127.0.0.1", port: probes, path: "/readyz" }, periodSeconds: 5 },
        volumeMounts: [
          { name: "xtables-lock", mountPath: "/run/xtables.lock" },
          { name: "modules", mountPath: "/lib/modules", readOnly: true },
          { name: "state", mountPath: STATE_DIRECTORY },
          { name: "ca", mountPath: "/var/run/tierwall/ca", readOnly: true },
          { name: "token", mountPath: "/var/run/tierwall/token", readOnly: true },
          { name: "tmp", mountPath: "/tmp" },
        ],
      },
    ],
    volumes: [
      // Shared with kube-proxy and the CNI plugin: whoever changes iptables holds it.
      { name: "xtables-lock", hostPath: { path: "/run/xtables.lock", type: "FileOrCreate" } },
      { name: "modules", hostPath: { path: "/lib/modules", type: "DirectoryOrCreate" } },
      // What is in force, for the time after a reboot in which nobody can be asked.
      { name: "state", hostPath: { path: STATE_DIRECTORY, type: "DirectoryOrCreate" } },
      { name: "ca", configMap: { name: "tierwall-ca" } },
      {
        name: "token",
        projected: {
          sources: [{ serviceAccountToken: { audience: STREAM_AUDIENCE, expirationSeconds: 3600, path: "token" } }],
        },
      },
      { name: "tmp", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
    ],
  };
}
