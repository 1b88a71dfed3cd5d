import { compare } from "./label-selector.ts";

/** JSON with sorted keys: equal values give equal text, whatever order the API server or a file had them in. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => compare(a, b)))
      : member,
  );
}
