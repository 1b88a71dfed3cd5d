import type { ApiClient } from "./client.ts";
import type { Clock } from "./clock.ts";
import { collectionPath, EVENTS, type ObjectName } from "./resource.ts";

/** The object that an Event is about. */
export interface Regarding extends ObjectName {
  readonly apiVersion: string;
  readonly kind: string;
  readonly uid: string;
}

export interface Occurrence {
  readonly regarding: Regarding;
  readonly type: "Normal" | "Warning";
  /** UpperCamelCase; machines read it. */
  readonly reason: string;
  /** For people; cut at 1,024 bytes. */
  readonly message: string;
  /** What was being done; the reason if absent. */
  readonly action?: string;
}

export interface EventRecorderOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** The program; `kubectl get events` shows it as source. */
  readonly component: string;
  /** This process of it. */
  readonly instance: string;
  readonly onError: (error: unknown) => void;
}

const REPEAT_MS = 10 * 60_000;
const MOST_REMEMBERED = 2_000;
const MOST_UNDER_WAY = 50;
/** Limits of events.k8s.io/v1, in bytes. */
const NOTE_LENGTH = 1_024;
const FIELD_LENGTH = 128;

/**
 * Tells users what happened, as Events. A repeat of the same reason and message about the same object within ten
 * minutes is dropped: the state itself stands in the object's conditions, an Event only says when it changed.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  /** When each was told, the oldest first. */
  readonly #told = new Map<string, number>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Never throws and never waits; what cannot be told goes to `onError`, and its next repeat is tried again. */
  record(occurrence: Occurrence): void {
    const { regarding, reason, message } = occurrence;
    const key = JSON.stringify([regarding.uid, reason, message]);
    const now = this.#options.clock.monotonic();
    const toldAt = this.#told.get(key);
    if (toldAt !== undefined && now - toldAt < REPEAT_MS) return;
    // With the API server away a thousand requests waiting for their time-out help nobody.
    if (this.#underWay.size >= MOST_UNDER_WAY) {
      const what = `Event ${reason} about ${regarding.kind} ${regarding.name}`;
      this.#options.onError(new Error(`${what} is dropped: ${MOST_UNDER_WAY} are under way`));
      return;
    }
    this.#remember(key, now);
    const sending = this.#send(occurrence).catch((error: unknown) => {
      this.#told.delete(key);
      this.#options.onError(error);
    }).finally(() => this.#underWay.delete(sending));
    this.#underWay.add(sending);
  }

  /** Resolves when nothing is under way; for a clean end. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #remember(key: string, now: number): void {
    this.#told.delete(key);
    this.#told.set(key, now);
    const [oldest] = this.#told.keys();
    if (this.#told.size > MOST_REMEMBERED && oldest !== undefined) this.#told.delete(oldest);
  }

  async #send({ regarding, type, reason, message, action = reason }: Occurrence): Promise<void> {
    const { client, clock, component, instance } = this.#options;
    // Events about cluster-scoped objects live in this namespace: the API server accepts no other.
    const namespace = regarding.namespace ?? "default";
    const body = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { namespace, generateName: `${regarding.name.slice(0, 50).replace(/[^a-z0-9]+$/, "")}-` },
      eventTime: clock.wall().toISOString().replace("Z", "000Z"),
      reportingController: component,
      reportingInstance: cut(instance, FIELD_LENGTH),
      type, regarding,
      reason: cut(reason, FIELD_LENGTH),
      action: cut(action, FIELD_LENGTH),
      note: cut(message, NOTE_LENGTH),
    };
    await client.request({ method: "POST", path: collectionPath(EVENTS, namespace), body });
  }
}

/** The longest beginning of `text` that has at most `most` bytes, never half a character. */
function cut(text: string, most: number): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(most));
  return text.slice(0, read);
}
