import type { ConditionDraft } from "../api/condition.ts";

export function draft(
  type: string,
  status: ConditionDraft["status"],
  reason: string,
  message: string,
): ConditionDraft {
  return { type, status, reason, message };
}

/** `1 node`, `2 nodes` */
export function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

export function andMore(others: number): string {
  return others > 0 ? ` and ${others} more` : "";
}
