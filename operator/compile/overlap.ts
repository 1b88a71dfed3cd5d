import { bothSelectors, type LabelRequirement, type LabelSelector } from "../api/label-selector.ts";

/** Whether labels may satisfy both selectors; `false` only where the two contradict each other about a key. */
export function mayOverlap(a: LabelSelector, b: LabelSelector): boolean {
  // Most tiers have different values of one label: this answers for them at once.
  for (const [key, value] of Object.entries(a.matchLabels ?? {})) {
    if ((b.matchLabels?.[key] ?? value) !== value) return false;
  }
  const { matchLabels = {}, matchExpressions = [] } = bothSelectors(a, b);
  const requirements: readonly LabelRequirement[] = [
    ...Object.entries(matchLabels).map(([key, value]): LabelRequirement => ({ key, operator: "In", values: [value] })),
    ...matchExpressions,
  ];
  return Map.groupBy(requirements, ({ key }) => key).values().every(isSatisfiable);
}

/** All about one key. */
function isSatisfiable(requirements: readonly LabelRequirement[]): boolean {
  const wanting = (operator: LabelRequirement["operator"]) => requirements.filter((each) => each.operator === operator);
  const [first, ...others] = wanting("In");
  const refused = wanting("NotIn").flatMap(({ values = [] }) => values);
  const left = (first?.values ?? []).filter(
    (value) => !refused.includes(value) && others.every(({ values = [] }) => values.includes(value)),
  );
  if (first !== undefined && left.length === 0) return false;
  const wanted = first !== undefined || wanting("Exists").length > 0;
  return !wanted || wanting("DoesNotExist").length === 0;
}
