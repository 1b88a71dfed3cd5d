import type { Reader } from "./reader.ts";

/** `metav1.Condition` as all our statuses carry it. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  /** CamelCase, for machines. */
  readonly reason: string;
  /** A sentence, for people. */
  readonly message: string;
  readonly observedGeneration: number;
  /** RFC 3339; moves only when `status` does. */
  readonly lastTransitionTime: string;
}

/** RFC 3339 to the second, as `metav1.Time` is written. @param ms since the epoch */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

export type ConditionDraft = Omit<Condition, "lastTransitionTime" | "observedGeneration">;

/** What the schemas take; one message above it, and the API server refuses the whole status. */
const LONGEST_MESSAGE = 32_768;

/**
 * Drafts as conditions, with the transition time of the previous condition of that type where its status is the same.
 */
export function settleConditions(
  drafts: readonly ConditionDraft[],
  previous: readonly Condition[],
  observedGeneration: number,
  now: string,
): readonly Condition[] {
  return drafts.map((draft) => {
    const before = previous.find(({ type }) => type === draft.type);
    const lastTransitionTime = before?.status === draft.status ? before.lastTransitionTime : now;
    return { ...draft, message: cut(draft.message), observedGeneration, lastTransitionTime };
  });
}

/** The schemas count characters, of which there are never more than code units; none is cut in two. */
function cut(message: string): string {
  if (message.length <= LONGEST_MESSAGE) return message;
  return `${message.slice(0, LONGEST_MESSAGE - 1).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/** @throws ReadError */
export function readCondition(condition: Reader): Condition {
  return {
    type: condition.at("type").text(),
    status: condition.at("status").oneOf(["True", "False", "Unknown"]),
    reason: condition.at("reason").or((reader) => reader.text(), ""),
    message: condition.at("message").or((reader) => reader.text(), ""),
    observedGeneration: condition.at("observedGeneration").or((reader) => reader.integer(), 0),
    lastTransitionTime: condition.at("lastTransitionTime").or((reader) => reader.text(), ""),
  };
}
