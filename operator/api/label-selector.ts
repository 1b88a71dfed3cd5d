import type { Labels } from "./meta.ts";

/**
 * `metav1.LabelSelector`. An empty one selects everything; an absent one selects nothing or everything as its field
 * says.
 */
export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly LabelRequirement[];
}

export interface LabelRequirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  /** Required for `In` and `NotIn`, absent otherwise. */
  readonly values?: readonly string[];
}

/**
 * Whether `labels` satisfy every requirement of `selector`, as Kubernetes defines it (`NotIn` holds for an absent
 * key).
 */
export function selects(selector: LabelSelector, labels: Labels): boolean {
  for (const key in selector.matchLabels) {
    if (labelOf(labels, key) !== selector.matchLabels[key]) return false;
  }
  return (selector.matchExpressions ?? []).every((requirement) => satisfies(requirement, labels));
}

function satisfies({ key, operator, values = [] }: LabelRequirement, labels: Labels): boolean {
  const value = labelOf(labels, key);
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** Own properties only: `constructor` is a valid label key. */
function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/**
 * The selector in one canonical form: keys and values sorted, duplicates gone, `matchLabels` kept apart from
 * expressions, empty parts left out. Two selectors with one canonical form select the same things.
 */
export function canonicalSelector(selector: LabelSelector): LabelSelector {
  const labels = Object.entries(selector.matchLabels ?? {}).toSorted(([a], [b]) => compare(a, b));
  const byText = new Map(
    (selector.matchExpressions ?? []).map((requirement) => {
      const { key, operator } = requirement;
      const values = requirement.values === undefined ? undefined : [...new Set(requirement.values)].toSorted(compare);
      const canonical: LabelRequirement =
        values === undefined || values.length === 0 ? { key, operator } : { key, operator, values };
      return [JSON.stringify(canonical), canonical] as const;
    }),
  );
  const expressions = [...byText].toSorted(([a], [b]) => compare(a, b)).map(([, requirement]) => requirement);
  return {
    ...(labels.length > 0 && { matchLabels: Object.fromEntries(labels) }),
    ...(expressions.length > 0 && { matchExpressions: expressions }),
  };
}

/** Both selectors at once: what satisfies the result satisfies each of them. */
export function bothSelectors(a: LabelSelector, b: LabelSelector): LabelSelector {
  // A key that both name with different values cannot live in one map: the second goes into expressions.
  const labels: Record<string, string> = { ...a.matchLabels };
  const expressions: LabelRequirement[] = [...(a.matchExpressions ?? []), ...(b.matchExpressions ?? [])];
  for (const [key, value] of Object.entries(b.matchLabels ?? {})) {
    const present = labels[key];
    if (present === undefined) labels[key] = value;
    else if (present !== value) expressions.push({ key, operator: "In", values: [value] });
  }
  return canonicalSelector({ matchLabels: labels, matchExpressions: expressions });
}

/** Order by code units: the same on every machine and locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
