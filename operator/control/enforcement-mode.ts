import type { Settings } from "../api/settings.ts";

/** Who drops packets in this cluster, and why we think so. */
export interface EnforcementMode {
  readonly managed: boolean;
  readonly reason: string;
}

/** DaemonSets, by the start of their name, of what enforces NetworkPolicies itself. */
const POLICY_ENGINES = [
  "calico-node",
  "cilium",
  "antrea-agent",
  "kube-router",
  "weave-net",
  "canal",
  "ovnkube-node",
  "kube-ovn",
  "anetd",
  "azure-npm",
  "aws-network-policy-agent",
] as const;

/** Only here: a workload labelled or named like a CNI elsewhere must not switch the wall off. */
export const SYSTEM_NAMESPACES = [
  "kube-system",
  "calico-system",
  "cilium",
  "kube-ovn",
  "kube-flannel",
  "ovn-kubernetes",
  "openshift-ovn-kubernetes",
] as const;

/**
 * `Auto` leaves enforcement to a CNI that does it, and otherwise takes it on. Once our own enforcers are there it stays
 * with them: they go only when the setting says so.
 */
export function enforcementMode(
  setting: Settings["enforcer"],
  daemonSets: readonly { readonly namespace: string; readonly name: string }[],
  hasOwnEnforcers: boolean,
): EnforcementMode {
  if (setting === "Managed") return { managed: true, reason: "the setting enforcer is Managed" };
  if (setting === "Disabled") return { managed: false, reason: "the setting enforcer is Disabled" };
  if (hasOwnEnforcers) return { managed: true, reason: "Tierwall's enforcers are installed" };
  const engine = daemonSets.find(
    ({ namespace, name }) =>
      SYSTEM_NAMESPACES.some((known) => known === namespace) && POLICY_ENGINES.some((known) => name.startsWith(known)),
  );
  return engine === undefined
    ? { managed: true, reason: "no CNI was found that enforces NetworkPolicies" }
    : { managed: false, reason: `DaemonSet ${engine.namespace}/${engine.name} enforces NetworkPolicies` };
}
