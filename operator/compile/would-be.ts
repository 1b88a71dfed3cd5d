import { FIELD_MANAGER } from "../api/meta.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import type { Namespace } from "../api/workload.ts";
import { partsIn, type Part } from "./part.ts";
import { partLabels, type Owner } from "./plan.ts";

/**
 * The NetworkPolicies that would stand in `namespaces` if the SegmentPolicy were enforced, as if the API server had
 * them. What they would do is all they are for: they have no uid, and nobody writes them.
 */
export function wouldBe(
  owner: Pick<Owner, "name">,
  parts: readonly Part[],
  namespaces: Iterable<Pick<Namespace, "name" | "labels">>,
): readonly NetworkPolicy[] {
  return [...namespaces].flatMap(({ name: namespace, labels }) =>
    partsIn(parts, labels).map((part): NetworkPolicy => ({
      metadata: {
        name: part.name,
        namespace,
        uid: "",
        resourceVersion: "",
        generation: 0,
        labels: partLabels(part, owner),
        deleting: false,
        ownerReferences: [],
        managers: [FIELD_MANAGER],
      },
      spec: part.spec,
      unreadable: [],
    })),
  );
}
