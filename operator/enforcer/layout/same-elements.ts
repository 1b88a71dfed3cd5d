/** Whether two lists hold the same values, objects by identity, in the same order. */
export function sameElements<T>(a: readonly T[] | undefined, b: readonly T[]): boolean {
  if (a === b) return true;
  return a !== undefined && a.length === b.length && a.every((element, index) => element === b[index]);
}
