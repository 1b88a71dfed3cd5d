import { errorText } from "../api/error-message.ts";
import { Unreachable } from "../kube/api-error.ts";
import type { Logger } from "../telemetry/logger.ts";

/**
 * Says once that the API server does not answer, and once that it does again. Everything that follows a kind of object
 * or renews the lease meets the same outage, each again and again.
 */
export class Reachability {
  readonly #server: string;
  readonly #log: Logger;
  #lost = false;

  /** @param server its address, as the kubeconfig has it */
  constructor(server: string, log: Logger) {
    this.#server = server;
    this.#log = log;
  }

  /** @returns whether `error` means that there was no answer: then all has been said of it */
  unanswered(error: unknown): boolean {
    if (!(error instanceof Unreachable)) return false;
    if (!this.#lost) {
      this.#lost = true;
      const facts = { server: this.#server, error: errorText(error) };
      this.#log.warn("the API server does not answer, it will be tried until it does", facts);
    }
    return true;
  }

  /** Any answer, a refusal too. */
  answered(): void {
    if (!this.#lost) return;
    this.#lost = false;
    this.#log.info("the API server answers again", { server: this.#server });
  }
}
