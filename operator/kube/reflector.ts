import { ApiError, errorFromAnswer, retryAfterMs } from "./api-error.ts";
import { waitAfter, type Backoff } from "../timing/backoff.ts";
import type { ApiClient } from "./client.ts";
import { sleep, type Clock } from "./clock.ts";
import { ObjectStore, type Change, type RawObject } from "./object-store.ts";
import { collectionPath, type Resource } from "./resource.ts";
import { Watchdog } from "./watchdog.ts";

export interface ReflectorOptions<T> {
  readonly client: ApiClient;
  readonly resource: Resource;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Keeps only what is needed. An object for which it throws is left out and told to `onError`. */
  readonly parse: (object: unknown) => T;
  readonly clock: Clock;
  readonly random: () => number;
  /** The changes of one list, or of one chunk of watch lines; the store has them already. Must not throw. */
  readonly onBatch: (changes: readonly Change<T>[]) => void;
  /** The first list is in the store. */
  readonly onSynced?: () => void;
  /** Nothing to mend here: the reflector goes on by itself. */
  readonly onError: (error: unknown) => void;
  readonly pageSize?: number;
  /** How long the server is asked to keep one watch open. */
  readonly watchSeconds?: number;
  /** A watch silent for so long may have lost its server without a word: bookmarks come about once a minute. */
  readonly silenceMs?: number;
  readonly backoff?: Backoff;
}

/** A watch that lived this long was a good one; a list that took long before it failed was not. */
const GOOD_WATCH_MS = 1_000;

/** Keeps `store` equal to what the API server has: lists once, then watches for ever. */
export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #objects: ObjectStore<T>;
  readonly #path: string;
  #resourceVersion = "";
  #synced = false;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#path = collectionPath(options.resource, options.namespace);
    this.#objects = new ObjectStore(options.parse, options.onError);
  }

  /** By `namespace/name`, or `name`. */
  get store(): ReadonlyMap<string, T> {
    return this.#objects.all;
  }

  /** All changes up to it are in the store; empty before the first list. */
  get resourceVersion(): string {
    return this.#resourceVersion;
  }

  /** The newest resource version among the changes it has told: another copy that has seen it lacks none of them. */
  get changedVersion(): string {
    return this.#objects.newestVersion;
  }

  get synced(): boolean {
    return this.#synced;
  }

  /** Resolves when the signal is aborted; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, onError, backoff = { firstMs: 200, mostMs: 30_000 } } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      let error: unknown;
      let watchingSince = Infinity;
      try {
        if (this.#resourceVersion === "") await this.#list(signal);
        watchingSince = clock.monotonic();
        await this.#watch(signal);
      } catch (caught) {
        if (signal.aborted) return;
        error = caught;
        onError(caught);
        // Too old a version: only a list helps. Also a continue token that expired in the middle of a list.
        if (caught instanceof ApiError && caught.status === 410) this.#resourceVersion = "";
      }
      failures = clock.monotonic() - watchingSince >= GOOD_WATCH_MS ? 0 : failures + 1;
      const pause = failures === 0 && error === undefined ? 0 : waitAfter(Math.max(1, failures), backoff, random);
      await sleep(clock, Math.max(pause, retryAfterMs(error)), signal);
    }
  }

  /**
   * No `resourceVersion` is asked for, so the list is the newest there is: "0" may be answered by a server that is
   * behind the one we saw last, and the store would go back in time.
   */
  async #list(signal: AbortSignal): Promise<void> {
    const { client, pageSize = 500, onBatch, onSynced } = this.#options;
    const next = this.#objects.startList();
    let version = "";
    let token = "";
    do {
      const query = { ...this.#selectors(), limit: String(pageSize), ...(token !== "" && { continue: token }) };
      const request = { method: "GET", path: this.#path, query, signal, timeoutMs: 60_000 } as const;
      const page = readPage(await client.request(request));
      for (const item of page.items) next.add(item);
      ({ version, token } = page);
    } while (token !== "");
    const changes = next.commit(version);
    this.#resourceVersion = version;
    if (changes.length > 0) onBatch(changes);
    if (this.#synced) return;
    this.#synced = true;
    onSynced?.();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, clock, random, watchSeconds = 240, silenceMs = 100_000, onBatch } = this.#options;
    const query = {
      ...this.#selectors(), watch: "true", allowWatchBookmarks: "true", resourceVersion: this.#resourceVersion,
      // Spread, so that the watches of many reflectors do not all end together.
      timeoutSeconds: String(Math.ceil(watchSeconds * (1 + random() / 2))),
    };
    const watchdog = new Watchdog(clock, silenceMs);
    try {
      const either = AbortSignal.any([signal, watchdog.signal]);
      for await (const lines of client.stream({ method: "GET", path: this.#path, query, signal: either })) {
        watchdog.heard();
        const changes: Change<T>[] = [];
        try {
          for (const line of lines) changes.push(...this.#take(line));
        } finally {
          if (changes.length > 0) onBatch(changes);
        }
      }
    } catch (cause) {
      // No error, just opened anew: of a kind without any change a young server sends no bookmark for minutes (1.36).
      // If it is gone indeed, the next attempt says so.
      if (!watchdog.signal.aborted || signal.aborted) throw cause;
    } finally {
      watchdog.stop();
    }
  }

  /** One line of a watch. @throws ApiError for an ERROR event */
  #take(line: string): readonly Change<T>[] {
    const event = this.#readEvent(line);
    if (event === undefined) return [];
    const { type, object } = event;
    if (type === "ERROR") throw watchError(this.#path, object);
    const version = object.metadata?.resourceVersion;
    if (version !== undefined) this.#resourceVersion = version;
    switch (type) {
      case "BOOKMARK": return [];
      case "DELETED": return this.#objects.remove(object);
      default: return this.#objects.put(object);
    }
  }

  #readEvent(line: string): { readonly type: string; readonly object: RawObject } | undefined {
    try {
      const { type, object }: { type?: unknown; object?: unknown } = JSON.parse(line);
      if (typeof type === "string" && typeof object === "object" && object !== null) return { type, object };
      throw new TypeError("a watch event without type or object");
    } catch (cause) {
      this.#options.onError(new Error(`watch of ${this.#path}: a line that cannot be read`, { cause }));
      return undefined;
    }
  }

  #selectors(): Record<string, string> {
    const { labelSelector, fieldSelector } = this.#options;
    return {
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    };
  }
}

interface Page {
  readonly items: readonly RawObject[];
  readonly version: string;
  readonly token: string;
}

/** @throws TypeError if it is no list: what is missing there would count as deleted */
function readPage(answer: unknown): Page {
  const list = answer as {
    readonly items?: readonly RawObject[] | null;
    readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  };
  const { resourceVersion, continue: token = "" } = list.metadata ?? {};
  if (!resourceVersion) throw new TypeError("the answer to a list has no resourceVersion");
  return { items: list.items ?? [], version: resourceVersion, token };
}

/** `object` is a Status. */
function watchError(path: string, object: object): ApiError {
  const code = "code" in object && typeof object.code === "number" ? object.code : 500;
  return errorFromAnswer("WATCH", path, code, JSON.stringify(object));
}
