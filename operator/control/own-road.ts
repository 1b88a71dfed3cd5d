import type { NetworkPolicy, NetworkPolicyPort } from "../api/network-policy.ts";
import type { Labels } from "../api/meta.ts";
import type { Settings } from "../api/settings.ts";
import type { ApiServerFacts } from "../compile/facts.ts";

/** What the operator's pods carry, and nothing else of its namespace. */
export const OPERATOR_LABELS: Labels = {
  "app.kubernetes.io/name": "tierwall-operator",
  "app.kubernetes.io/part-of": "tierwall",
};
/** No object of the cluster can be called so. */
const NAME = "(own road)";
/** Where an API server listens whose endpoints are not known. */
const USUAL_API_PORTS: readonly number[] = [443, 6443];

export interface OwnRoadFacts {
  readonly namespace: string;
  /** Of the operator's pods. */
  readonly labels: Labels;
  readonly settings: Pick<Settings, "ports" | "dns">;
  /** `undefined` = not known. */
  readonly apiServer: ApiServerFacts | undefined;
}

/** What the operator's own pods need, whatever policies select them: streams in, the API server and DNS out. */
export function ownRoad({ namespace, labels, settings, apiServer }: OwnRoadFacts): NetworkPolicy {
  const tcp = (port: number): NetworkPolicyPort => ({ protocol: "TCP", port });
  const dns = settings.dns.ports.flatMap((port): NetworkPolicyPort[] => [{ protocol: "UDP", port }, tcp(port)]);
  const api = apiServer && { to: apiServer.blocks.map((cidr) => ({ ipBlock: { cidr } })), ports: apiServer.ports };
  return {
    metadata: {
      namespace,
      name: NAME,
      uid: "",
      generation: 0,
      resourceVersion: "",
      labels: {},
      ownerReferences: [],
      managers: [],
      deleting: false,
    },
    spec: {
      podSelector: { matchLabels: labels },
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ ports: [tcp(settings.ports.stream)] }],
      // Without a port there is no rule: one that names none allows them all.
      egress: [...(dns.length > 0 ? [{ ports: dns }] : []), api ?? { ports: USUAL_API_PORTS.map(tcp) }],
    },
    unreadable: [],
  };
}
