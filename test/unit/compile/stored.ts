import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { Part } from "../../../operator/compile/part.ts";
import { partLabels } from "../../../operator/compile/plan.ts";

export const OWNER = { name: "shop", uid: "uid-1" };

/** A part as the API server would return it: empty lists dropped, keys in an order of its own. */
export function stored(part: Part, change: { readonly metadata?: object; readonly spec?: object } = {}): NetworkPolicy {
  const { ingress, egress, ...rest } = part.spec;
  return readNetworkPolicy({
    metadata: {
      name: part.name, namespace: "ns", uid: `uid-of-${part.name}`, labels: partLabels(part, OWNER),
      managedFields: [{ manager: "tierwall", operation: "Apply" }],
      ownerReferences: [
        { apiVersion: "tierwall.io/v1alpha1", kind: "SegmentPolicy", name: OWNER.name, uid: OWNER.uid, controller: true },
      ],
      ...change.metadata,
    },
    spec: { ...(egress.length > 0 && { egress }), ...(ingress.length > 0 && { ingress }), ...rest, ...change.spec },
  });
}
