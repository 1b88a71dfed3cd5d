import type { Clock } from "../kube/clock.ts";

/** No answer to a write for a while. It is still under way, and may take place later. */
export class Overdue extends Error {
  constructor(namespace: string, ms: number) {
    super(`a write to namespace ${namespace} has had no answer for ${ms} ms: does an admission webhook hang?`);
    this.name = "Overdue";
  }
}

/** A namespace whose last write came late. */
interface Slowness {
  /** What is said of it: the server's own words, as soon as it has said any. */
  readonly error: unknown;
  /** Settles with the write; `undefined` when that has been answered. */
  readonly underWay: Promise<unknown> | undefined;
}

/** How long a write may hold up who waits for it: far longer than an API server under load takes. */
const PATIENCE_MS = 5_000;
/** The same where the last write came late: whatever hangs there hangs mostly for long. */
const LITTLE_PATIENCE_MS = 250;
/** Waits are cut into so many: a process that was held up itself reads in between what has come meanwhile. */
const LOOKS = 5;

/**
 * Keeps namespaces that do not answer from holding up whoever writes to others too: an admission webhook that hangs
 * takes up to half a minute. Nobody waits for such a write, but it is not cut off either: a webhook that is slow, or
 * that the API server may ignore in the end, lets it through. Until it is answered the namespace gets no other, for the
 * order of writes counts.
 */
export class OverdueWrites {
  readonly #clock: Clock;
  readonly #slow = new Map<string, Slowness>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @returns what `write` answers, if it does so in time
   * @throws Overdue, or what the server said last, while the namespace owes an answer; else what `write` throws
   */
  async write<T>(namespace: string, write: () => Promise<T>): Promise<T> {
    const known = this.#slow.get(namespace);
    // The watch may have shown what an overdue write did a moment before its answer is here.
    if (known?.underWay !== undefined) await this.#inTime(known.underWay, LITTLE_PATIENCE_MS, known.error);
    const before = this.#slow.get(namespace);
    if (before?.underWay !== undefined) throw before.error;
    const answer = write();
    const error = before?.error ?? new Overdue(namespace, PATIENCE_MS);
    const patience = before === undefined ? PATIENCE_MS : LITTLE_PATIENCE_MS;
    try {
      return await this.#inTime(answer, patience, error, () => this.#follow(namespace, answer, error));
    } finally {
      if (this.#slow.get(namespace) === before) this.#slow.delete(namespace);
    }
  }

  /** From now on `namespace` owes the answer to a write that nobody waits for. */
  #follow(namespace: string, answer: Promise<unknown>, error: unknown): void {
    // Writes of several policies may have been sent before the first was late.
    const earlier = this.#slow.get(namespace)?.underWay;
    const settled = async (): Promise<void> => {
      await earlier;
      const after = await answer.then(() => undefined, (failure: unknown) => ({ error: failure, underWay: undefined }));
      if (this.#slow.get(namespace) !== slowness) return;
      if (after === undefined) this.#slow.delete(namespace);
      else this.#slow.set(namespace, after);
    };
    const slowness: Slowness = { error, underWay: settled() };
    this.#slow.set(namespace, slowness);
  }

  /** What `answer` becomes, but for `error` when it takes longer than `ms`. */
  #inTime<T>(answer: Promise<T>, ms: number, error: unknown, onLate: () => void = () => undefined): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let cancel: () => void;
    const look = (looks: number): void => {
      if (looks < LOOKS) {
        cancel = this.#clock.after(ms / LOOKS, () => look(looks + 1));
        return;
      }
      onLate();
      reject(error);
    };
    look(0);
    void answer.then(resolve, reject).finally(() => cancel());
    return promise;
  }
}
