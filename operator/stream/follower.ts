import type { NodeDelta, NodeState } from "../api/node-state.ts";
import { deltaMessages, messageLine, snapshotMessages } from "./codec.ts";
import { PendingDelta } from "./pending.ts";
import type { Versions } from "./versions.ts";
import type { Hello, StreamMessage } from "./wire.ts";

/** The connection's end that a follower writes to. */
export interface Sink {
  /** @returns false = enough for now: hold back until `Follower.drained` is called */
  write(text: string): boolean;
  end(reason: string): void;
}

export interface FollowerOptions {
  readonly sink: Sink;
  /** The node's state, as of the last delta that this follower was given. */
  readonly state: () => NodeState;
  readonly versions: () => Versions;
  readonly pendingLimit: number;
}

/** One connected enforcer: what it has been sent, and what it still has to be sent. */
export class Follower {
  readonly #options: FollowerOptions;
  #revision = 0;
  /** While the connection takes no more: what it has missed; `snapshot` = too much to say in changes. */
  #missed: PendingDelta | "nothing" | "snapshot" = "nothing";
  #full = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  /** Whether the connection has not taken all it was given. */
  get full(): boolean {
    return this.#full;
  }

  greet(hello: Hello, state: NodeState): void {
    this.#write([hello, ...snapshotMessages(state), this.#nextRevision()]);
  }

  /** Tells the node to leave: there is nothing else to say. */
  retire(hello: Hello): void {
    this.#write([hello, { type: "retire" }]);
  }

  change(delta: NodeDelta): void {
    if (!this.#full) {
      this.#write([...deltaMessages(delta), this.#nextRevision()]);
      return;
    }
    if (this.#missed === "snapshot") return;
    const missed = this.#missed === "nothing" ? new PendingDelta(this.#options.pendingLimit) : this.#missed;
    this.#missed = missed.add(delta) ? missed : "snapshot";
  }

  heartbeat(): void {
    if (!this.#full) this.#write([{ type: "heartbeat" }]);
  }

  /** The connection takes more again. */
  drained(): void {
    const missed = this.#missed;
    // Asked for while still holding back: changes published on the way to the answer are part of it.
    const messages = missed === "nothing" ? []
      : missed === "snapshot" ? snapshotMessages(this.#options.state()) : deltaMessages(missed.delta());
    const batch = [...messages];
    this.#full = false;
    this.#missed = "nothing";
    if (batch.length > 0) this.#write([...batch, this.#nextRevision()]);
  }

  end(reason: string): void {
    this.#options.sink.end(reason);
  }

  #nextRevision(): StreamMessage {
    this.#revision += 1;
    return { type: "revision", revision: this.#revision, versions: this.#options.versions(), complete: true };
  }

  #write(messages: readonly StreamMessage[]): void {
    if (!this.#options.sink.write(messages.map(messageLine).join(""))) this.#full = true;
  }
}
