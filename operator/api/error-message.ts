/** What was thrown, in its own words; that of its causes is left out. */
export function errorMessage(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The same with that of its causes, in one line: for a log's `error` fact or a status message. */
export function errorText(thrown: unknown): string {
  const message = errorMessage(thrown);
  return thrown instanceof Error && thrown.cause !== undefined ? `${message}: ${errorText(thrown.cause)}` : message;
}
