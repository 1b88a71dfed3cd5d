import type { EnforcerSettings } from "../api/enforcer-settings.ts";
import type { NodeDelta, NodeState } from "../api/node-state.ts";
import { Follower, type Sink } from "./follower.ts";
import { behind, type Versions } from "./versions.ts";
import { PROTOCOL, type Hello } from "./wire.ts";

export interface HubOptions {
  /** Of the operator. */
  readonly version: string;
  readonly settings: EnforcerSettings;
  /** Enforcement is switched off: whoever connects is told to leave. */
  readonly retiring?: boolean;
  /** Of a node, as its Node says. Default: not known. */
  readonly podCIDRs?: (node: string) => readonly string[];
  /**
   * The state of a node, exactly as far as `publish` has told its changes: whoever keeps the states publishes what is
   * left to tell before it answers (that may call `publish` from inside).
   */
  readonly state: (node: string) => NodeState;
  /**
   * What this replica has seen by now; more than what it was told changes of, where nothing has changed for long.
   * Default: the versions of the last `publish`.
   */
  readonly seen?: () => Versions;
  /** Objects and set members that a slow reader may fall behind before it gets a snapshot instead. */
  readonly pendingLimit?: number;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
  /** Told how many enforcers follow, whenever that changes. */
  readonly observe?: (followers: number) => void;
}

/** One connection's hold on the hub. */
export interface Attachment {
  /** The connection takes more again. */
  drained(): void;
  detach(): void;
}

interface Connected {
  readonly follower: Follower;
  /** What it was greeted with. */
  readonly podCIDRs: readonly string[];
  takesSince: number;
}

/** Spreads what resolve computes over the nodes that are connected to this replica. */
export class StreamHub {
  readonly #options: HubOptions;
  readonly #connected = new Map<string, Connected>();
  #versions: Versions | undefined;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** False until the first `publish`: an unfinished view of the cluster must reach no node. */
  get ready(): boolean {
    return this.#versions !== undefined;
  }

  get followers(): number {
    return this.#connected.size;
  }

  /** The kind of which this replica has seen less than `since`, if any. */
  behind(since: Versions): string | undefined {
    return behind(this.#options.seen?.() ?? this.#versions ?? {}, since);
  }

  /**
   * Changes by node, and what they were computed from. The first call opens the hub: make it when all caches have
   * synced, with an empty map.
   */
  publish(changes: ReadonlyMap<string, NodeDelta>, versions: Versions): void {
    this.#versions = versions;
    if (this.#options.retiring === true) return;
    for (const [node, delta] of changes) this.#connected.get(node)?.follower.change(delta);
  }

  /** Greets the node on `sink` with a snapshot and keeps it informed; an older connection of the node is ended. */
  attach(node: string, sink: Sink): Attachment {
    const { version, settings, retiring = false } = this.#options;
    const state = retiring ? undefined : this.#options.state(node);
    this.#connected.get(node)?.follower.end("the node has connected anew");
    const follower = new Follower({
      sink,
      state: () => this.#options.state(node),
      versions: () => this.#versions ?? {},
      pendingLimit: this.#options.pendingLimit ?? 10_000,
    });
    const podCIDRs = this.#podCIDRs(node);
    const connected: Connected = { follower, podCIDRs, takesSince: this.#options.monotonic() };
    this.#connected.set(node, connected);
    this.#observe();
    const hello: Hello = { type: "hello", protocol: PROTOCOL, version, node, settings, podCIDRs };
    if (state === undefined) follower.retire(hello);
    else follower.greet(hello, state);
    return {
      drained: () => {
        connected.takesSince = this.#options.monotonic();
        follower.drained();
      },
      detach: () => {
        if (this.#connected.get(node) !== connected) return;
        this.#connected.delete(node);
        this.#observe();
      },
    };
  }

  /**
   * To be called once a period. Ends connections that have taken nothing for as long as a client bears silence, and
   * those of nodes that have got other pod networks than they were greeted with: they come back at once.
   */
  heartbeat(): void {
    const now = this.#options.monotonic();
    for (const [node, connected] of this.#connected) {
      if (connected.podCIDRs.join() !== this.#podCIDRs(node).join()) {
        connected.follower.end("the node's pod networks have changed");
      } else if (!connected.follower.full) {
        connected.takesSince = now;
        connected.follower.heartbeat();
      } else if (now - connected.takesSince > this.#options.settings.streamSilenceMs) {
        connected.follower.end("the node reads too slowly");
      }
    }
  }

  /** Ends every connection. */
  close(reason: string): void {
    for (const { follower } of this.#connected.values()) follower.end(reason);
  }

  #podCIDRs(node: string): readonly string[] {
    return this.#options.podCIDRs?.(node) ?? [];
  }

  #observe(): void {
    this.#options.observe?.(this.#connected.size);
  }
}
