/** What was thrown, in its own words; that of its causes is left out. */
export function errorMessage(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
