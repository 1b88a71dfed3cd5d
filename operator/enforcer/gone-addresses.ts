/**
 * Addresses that no pod has any more, whose connections are still tracked. They are forgotten one after the other beside
 * everything else, since each takes up to seconds on a busy node: no state waits for it, and no stream of states holds
 * it up.
 */
export class GoneAddresses {
  readonly #gone = new Set<string>();
  #work: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  #failure: unknown;

  add(addresses: readonly string[]): void {
    for (const address of addresses) this.#gone.add(address);
  }

  /**
   * Those of the addresses whose connections may still be those of a pod that is gone. Until the next `forget` nobody
   * touches them: some may soon be those of another pod.
   */
  async claim(addresses: readonly string[]): Promise<readonly string[]> {
    const claimed = addresses.filter((address) => this.#gone.has(address));
    if (claimed.length === 0) return claimed;
    this.#work?.stop.abort();
    await this.#work?.done;
    return claimed;
  }

  /** They are somebody else's now, and what was tracked there is seen to. */
  release(addresses: readonly string[]): void {
    for (const address of addresses) this.#gone.delete(address);
  }

  /**
   * Goes on, and returns at once.
   * @param forget makes connection tracking forget all of an address
   * @throws what went wrong since; the next call goes on all the same
   */
  forget(forget: Forget, signal: AbortSignal): void {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
    if (this.#work !== undefined || this.#gone.size === 0) return;
    const stop = new AbortController();
    const done = this.#forgetAll(forget, AbortSignal.any([signal, stop.signal])).finally(() => (this.#work = undefined));
    this.#work = { stop, done };
  }

  async #forgetAll(forget: Forget, signal: AbortSignal): Promise<void> {
    try {
      for (const address of this.#gone) {
        if (signal.aborted) return;
        await forget(address, signal);
        this.#gone.delete(address);
      }
    } catch (error) {
      if (!signal.aborted) this.#failure = error;
    }
  }
}

type Forget = (address: string, signal: AbortSignal) => Promise<void>;
