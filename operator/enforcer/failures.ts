import { errorMessage } from "../api/error-message.ts";
import { NetfilterError } from "./netfilter/netfilter.ts";

/** One error that says what all of them say; each is in its cause. */
export function joined(failures: readonly unknown[]): unknown {
  const [first] = failures;
  if (failures.length < 2) return first;
  const message = [...new Set(failures.map(errorMessage))].join("; ");
  const cause = new AggregateError(failures);
  const known = failures.filter((failure) => failure instanceof NetfilterError);
  const [reason] = known.map((failure) => failure.reason);
  // Something that is no tool's failure is not to be taken for one.
  const all = known.length === failures.length && reason !== undefined;
  return all ? new NetfilterError(reason, message, { cause }) : new Error(message, { cause });
}

/** Does one after the other, and the rest also where some fail. @throws what they threw, joined */
export async function eachInTurn(acts: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const act of acts) {
    try {
      await act();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw joined(failures);
}

/** What all of them give, once none is under way any more. @throws what they threw, joined */
export async function allDone<const Work extends readonly Promise<unknown>[]>(
  work: Work,
): Promise<{ -readonly [Index in keyof Work]: Awaited<Work[Index]> }> {
  const outcomes = await Promise.allSettled(work);
  const failures = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  if (failures.length > 0) throw joined(failures);
  return await Promise.all(work);
}
