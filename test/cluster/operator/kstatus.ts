import type { ShownPolicy } from "./status-contract.ts";

export type KStatus = "Terminating" | "InProgress" | "Failed" | "Current";

/**
 * What tools that wait make of a custom resource, as the kstatus specification says it: what is being deleted, then
 * what nobody has looked at in its present generation, then Reconciling and Stalled, then Ready. Source:
 * https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
 */
export function kstatus({ metadata, status }: ShownPolicy): KStatus {
  if (metadata.deletionTimestamp !== undefined) return "Terminating";
  if (status.observedGeneration !== metadata.generation) return "InProgress";
  const { conditions = [] } = status;
  const isTrue = (wanted: string) => conditions.some(({ type, status: now }) => type === wanted && now === "True");
  if (isTrue("Reconciling")) return "InProgress";
  if (isTrue("Stalled")) return "Failed";
  const ready = conditions.find(({ type }) => type === "Ready");
  return ready === undefined || ready.status === "True" ? "Current" : "InProgress";
}
