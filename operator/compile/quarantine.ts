import { bothSelectors, canonicalSelector, type LabelSelector } from "../api/label-selector.ts";
import type { QuarantineLabel } from "../api/segment-policy.ts";

/** The pods that carry the quarantine label. */
export function inQuarantine({ key, value }: QuarantineLabel): LabelSelector {
  return value === undefined ? { matchExpressions: [{ key, operator: "Exists" }] } : { matchLabels: { [key]: value } };
}

/** NetworkPolicies only add up, so a quarantined pod is cut off only if every other selector leaves it out. */
export function outsideQuarantine(selector: LabelSelector, quarantine: QuarantineLabel | undefined): LabelSelector {
  if (quarantine === undefined) return canonicalSelector(selector);
  const { key, value } = quarantine;
  return bothSelectors(selector, {
    matchExpressions: [
      value === undefined ? { key, operator: "DoesNotExist" } : { key, operator: "NotIn", values: [value] },
    ],
  });
}

/** The label that `inQuarantine` made the selector of; `undefined` = it is none of its. */
export function quarantineOf({ matchLabels, matchExpressions }: LabelSelector): QuarantineLabel | undefined {
  const [labels, expressions] = [Object.entries(matchLabels ?? {}), matchExpressions ?? []];
  if (labels.length + expressions.length !== 1) return undefined;
  for (const [key, value] of labels) return { key, value };
  for (const { key, operator } of expressions) if (operator === "Exists") return { key, value: undefined };
  return undefined;
}
