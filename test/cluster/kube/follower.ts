import type { ApiClient } from "../../../operator/kube/client.ts";
import { SYSTEM_CLOCK } from "../../../operator/kube/clock.ts";
import type { Change } from "../../../operator/kube/object-store.ts";
import { Reflector, type ReflectorOptions } from "../../../operator/kube/reflector.ts";
import { CONFIG_MAPS } from "../../../operator/kube/resource.ts";
import { waitFor } from "../../lab/wait.ts";
import { valueOf } from "./workspace.ts";

/** A running reflector of a workspace's ConfigMaps, and a mirror that is built from its changes alone. */
export class Follower {
  readonly reflector: Reflector<string>;
  readonly mirror = new Map<string, string>();
  /** All changes as text: `name: before -> after`. */
  readonly changes: string[] = [];
  readonly errors: string[] = [];
  batches = 0;
  syncs = 0;
  readonly #abort = new AbortController();
  readonly #ended: Promise<void>;

  constructor(client: ApiClient, namespace: string, options: Partial<ReflectorOptions<string>> = {}) {
    this.reflector = new Reflector({
      client, resource: CONFIG_MAPS, namespace, parse: valueOf, clock: SYSTEM_CLOCK, random: Math.random,
      backoff: { firstMs: 50, mostMs: 500 },
      onBatch: (changes) => this.#take(changes),
      onSynced: () => void (this.syncs += 1),
      onError: (error) => void this.errors.push(String(error)),
      ...options,
    });
    this.#ended = this.reflector.run(this.#abort.signal);
  }

  async synced(): Promise<void> {
    await waitFor("the first list", () => this.reflector.synced || undefined, { timeoutMs: 10_000, everyMs: 5 });
  }

  /** Waits for `expected` in the store, by name. */
  async has(expected: Readonly<Record<string, string>>, timeoutMs = 10_000): Promise<void> {
    const wanted = sorted(Object.entries(expected));
    await waitFor(`the store being ${wanted}`, () => {
      if (this.content !== wanted) throw new Error(`it is ${this.content}`);
      return true;
    }, { timeoutMs, everyMs: 5 });
  }

  get content(): string {
    return sorted([...this.reflector.store].map(([key, value]) => [nameOf(key), value]));
  }

  /** What a consumer has, which only ever hears of changes. */
  get mirrored(): string {
    return sorted([...this.mirror]);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#ended;
  }

  #take(changes: readonly Change<string>[]): void {
    this.batches += 1;
    for (const change of changes) {
      const name = nameOf(change.key);
      if (change.type === "set") this.mirror.set(name, change.object);
      else this.mirror.delete(name);
      this.changes.push(`${name}: ${change.previous ?? "none"} -> ${change.type === "set" ? change.object : "gone"}`);
    }
  }
}

function nameOf(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}

function sorted(entries: readonly (readonly [string, string])[]): string {
  return entries.map(([name, value]) => `${name}=${value}`).sort().join(" ");
}
