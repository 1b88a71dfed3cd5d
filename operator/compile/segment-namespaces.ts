import { selects } from "../api/label-selector.ts";
import type { SegmentPolicySpec } from "../api/segment-policy.ts";
import type { Namespace } from "../api/workload.ts";

/**
 * The namespaces of a segment, terminating ones too.
 * @param excluded are of no segment, whatever their labels say
 */
export function segmentNamespaces(
  { namespaceSelector }: Pick<SegmentPolicySpec, "namespaceSelector">,
  namespaces: Iterable<Namespace>,
  excluded: ReadonlySet<string>,
): readonly Namespace[] {
  return [...namespaces].filter(({ name, labels }) => !excluded.has(name) && selects(namespaceSelector, labels));
}
