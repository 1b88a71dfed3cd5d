import type { PodDraft, PodHost, PolicyDraft } from "./case.ts";

/** Selects one pod of the bed by its own label. */
export function only(pod: PodHost): object {
  return { matchLabels: { pod } };
}

/** Isolates `pod` for ingress, with these rules. */
export function ingressOf(pod: PodHost, ingress: readonly unknown[]): PolicyDraft {
  return { spec: { podSelector: only(pod), policyTypes: ["Ingress"], ingress } };
}

/** Isolates `pod` for egress, with these rules. */
export function egressOf(pod: PodHost, egress: readonly unknown[]): PolicyDraft {
  return { spec: { podSelector: only(pod), policyTypes: ["Egress"], egress } };
}

/** The policy as one that Tierwall wrote. */
export function generated(policy: PolicyDraft): PolicyDraft {
  return { ...policy, generated: true };
}

/** A pod whose container names ports: `{ http: 80 }` for TCP, `{ dns: ["UDP", 53] }` otherwise. */
export function withPorts(ports: Readonly<Record<string, number | readonly [string, number]>>): PodDraft {
  return { spec: { containers: [{ name: "main", ports: containerPorts(ports) }] } };
}

/** As `spec.containers[].ports` has them. */
export function containerPorts(
  ports: Readonly<Record<string, number | readonly [string, number]>>,
): readonly object[] {
  return Object.entries(ports).map(([name, port]) => (
    typeof port === "number" ? { name, containerPort: port } : { name, protocol: port[0], containerPort: port[1] }
  ));
}
