import type { NodeState } from "../api/node-state.ts";
import type { Resolver } from "../resolve/resolver.ts";
import type { StreamHub } from "../stream/hub.ts";
import type { Versions } from "../stream/versions.ts";

export interface PublisherOptions {
  readonly resolver: Resolver;
  readonly hub: StreamHub;
  /** What the resolver's state was computed from, at this moment. */
  readonly versions: () => Versions;
  /** Told of the SegmentPolicies whose confirmations are expected anew, or of other nodes. */
  readonly marksChanged: (names: ReadonlySet<string>) => void;
}

/** Carries the resolver's changes to the nodes' streams: all that happens in one turn of the event loop at once. */
export class Publisher {
  readonly #options: PublisherOptions;
  #open = false;
  #scheduled = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** From now on: the view of the cluster is complete. An incomplete one must reach no node. */
  open(): void {
    this.#open = true;
    this.flush();
  }

  /** Publishes after the current turn of the event loop. */
  schedule(): void {
    if (!this.#open || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (!this.#open) return;
    const { resolver, hub, versions, marksChanged } = this.#options;
    const changes = resolver.takeChanges();
    hub.publish(changes, versions());
    const names = new Set(changes.values().flatMap(({ generations }) => generations.keys()));
    if (names.size > 0) marksChanged(names);
  }

  /** A node's state, with everything that has happened told to those who follow already. */
  nodeState(node: string): NodeState {
    this.flush();
    return this.#options.resolver.nodeState(node);
  }
}
