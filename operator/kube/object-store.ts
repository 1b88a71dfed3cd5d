import { errorMessage } from "../api/error-message.ts";

/** An object as it came; only what identifies it is looked at here. */
export interface RawObject {
  readonly metadata?: {
    readonly namespace?: string; readonly name?: string; readonly uid?: string; readonly resourceVersion?: string;
  };
}

export type Change<T> =
  | { readonly type: "set"; readonly key: string; readonly object: T; readonly previous: T | undefined }
  | { readonly type: "delete"; readonly key: string; readonly previous: T };

interface Identity {
  readonly uid: string;
  readonly version: string;
}

/** What a parser made of an object, or why it could not. */
type Parsed<T> = { readonly object: T } | { readonly error: Error };

export interface ListInProgress<T> {
  /** Parses the object at once, so that the pages of a long list need not be held. */
  add(raw: RawObject): void;
  /** Makes the store equal to the list of that resource version. @returns the difference: what is gone first */
  commit(version: string): readonly Change<T>[];
}

/** The parsed objects of one kind, and what changed with each thing we were told. */
export class ObjectStore<T> {
  readonly #parse: (object: unknown) => T;
  readonly #onError: (error: unknown) => void;
  readonly #objects = new Map<string, T>();
  /** Of unreadable objects too: each version of one is reported once. */
  readonly #identities = new Map<string, Identity>();
  #newestVersion = "0";

  constructor(parse: (object: unknown) => T, onError: (error: unknown) => void) {
    this.#parse = parse;
    this.#onError = onError;
  }

  get all(): ReadonlyMap<string, T> {
    return this.#objects;
  }

  /** The newest resource version that any object came with, deletes included; `"0"` before the first. */
  get newestVersion(): string {
    return this.#newestVersion;
  }

  /** An object that cannot be parsed leaves the store: what a restart would not read must not linger either. */
  put(raw: RawObject): readonly Change<T>[] {
    const key = keyOf(raw);
    const identity = identityOf(raw);
    this.#note(identity.version);
    return this.#knows(key, identity) ? [] : this.#set(key, identity, this.#read(key, raw));
  }

  remove(raw: RawObject): readonly Change<T>[] {
    this.#note(identityOf(raw).version);
    return this.#drop(keyOf(raw));
  }

  /** Nothing changes until the list is complete; until then the store must not be changed in another way. */
  startList(): ListInProgress<T> {
    const listed = new Set<string>();
    let newest = "0";
    const fresh = new Map<string, { readonly identity: Identity; readonly parsed: Parsed<T> }>();
    return {
      add: (raw) => {
        const key = keyOf(raw);
        const identity = identityOf(raw);
        if (isNewer(identity.version, newest)) newest = identity.version;
        listed.add(key);
        if (!this.#knows(key, identity)) fresh.set(key, { identity, parsed: this.#read(key, raw) });
      },
      commit: (version) => {
        const changes: Change<T>[] = [];
        for (const key of this.#identities.keys()) if (!listed.has(key)) changes.push(...this.#drop(key));
        // No object carries the version of a delete that only a list shows: the list's own is the nearest above it.
        this.#note(changes.length > 0 ? version : newest);
        for (const [key, { identity, parsed }] of fresh) changes.push(...this.#set(key, identity, parsed));
        return changes;
      },
    };
  }

  #note(version: string): void {
    if (isNewer(version, this.#newestVersion)) this.#newestVersion = version;
  }

  #knows(key: string, { uid, version }: Identity): boolean {
    const known = this.#identities.get(key);
    return known !== undefined && known.uid === uid && known.version === version;
  }

  #set(key: string, identity: Identity, parsed: Parsed<T>): readonly Change<T>[] {
    const known = this.#identities.get(key);
    // Another object under the same name: its predecessor's end was missed, and consumers count on seeing it.
    const ended = "error" in parsed || (known !== undefined && known.uid !== identity.uid) ? this.#drop(key) : [];
    this.#identities.set(key, identity);
    if ("error" in parsed) {
      this.#onError(parsed.error);
      return ended;
    }
    const previous = this.#objects.get(key);
    this.#objects.set(key, parsed.object);
    return [...ended, { type: "set", key, object: parsed.object, previous }];
  }

  #drop(key: string): readonly Change<T>[] {
    const previous = this.#objects.get(key);
    this.#identities.delete(key);
    if (previous === undefined) return [];
    this.#objects.delete(key);
    return [{ type: "delete", key, previous }];
  }

  #read(key: string, raw: RawObject): Parsed<T> {
    try {
      return { object: this.#parse(raw) };
    } catch (cause) {
      const why = errorMessage(cause);
      return { error: new Error(`${key} is left out: ${why}`, { cause }) };
    }
  }
}

function keyOf({ metadata }: RawObject): string {
  const name = metadata?.name ?? "";
  return metadata?.namespace ? `${metadata.namespace}/${name}` : name;
}

function identityOf({ metadata }: RawObject): Identity {
  return { uid: metadata?.uid ?? "", version: metadata?.resourceVersion ?? "" };
}

/** Resource versions are integers to be compared as such (stated since Kubernetes 1.35), too big for a number here. */
export function isNewer(version: string, than: string): boolean {
  return version.length === than.length ? version > than : version.length > than.length;
}
