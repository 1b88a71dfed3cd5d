import type { Lab } from "../lab/lab.ts";
import { waitFor } from "../lab/wait.ts";

export const SYSTEM = "tierwall-system";

/** Installs Tierwall as a user does, and waits until every node's enforcer is at work. */
export async function install(lab: Lab): Promise<void> {
  await lab.get(["apply", "--server-side", "-k", "kustomize/overlays/dev"]);
  await lab.get(["-n", SYSTEM, "rollout", "status", "deployment/tierwall-operator", "--timeout=120s"]);
  await enforcersReady(lab);
}

/** Every node's SegmentNode says Ready. */
export async function enforcersReady(lab: Lab): Promise<void> {
  await waitFor(
    "every node's enforcer being Ready",
    async () => {
      const path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}";
      const statuses = (await lab.get(["get", "segmentnodes", "-o", path])).trim().split(/\s+/);
      return statuses.filter((status) => status === "True").length === lab.nodes.length ? true : undefined;
    },
    { timeoutMs: 90_000 },
  );
}

/** Waits until the SegmentPolicy's newest generation is Ready. */
export async function policyReady(lab: Lab, name: string): Promise<void> {
  await waitFor(
    `SegmentPolicy ${name} being Ready in its newest generation`,
    async () => {
      const policy = JSON.parse(await lab.get(["get", "segpol", name, "-o", "json"])) as {
        readonly metadata: { readonly generation: number };
        readonly status: {
          readonly observedGeneration: number;
          readonly conditions?: readonly { readonly type: string; readonly status: string }[];
        };
      };
      const { observedGeneration, conditions = [] } = policy.status;
      const ready = conditions.some(({ type, status }) => type === "Ready" && status === "True");
      return ready && observedGeneration === policy.metadata.generation ? true : undefined;
    },
    { timeoutMs: 60_000 },
  );
}

/** Names of the pods with this `app.kubernetes.io/name`. */
export async function podsOf(lab: Lab, app: string): Promise<readonly string[]> {
  const names = await lab.get([
    "-n",
    SYSTEM,
    "get",
    "pods",
    "-l",
    `app.kubernetes.io/name=${app}`,
    "-o",
    "jsonpath={.items[*].metadata.name}",
  ]);
  return names
    .trim()
    .split(/\s+/)
    .filter((name) => name !== "");
}
