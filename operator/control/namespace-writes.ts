import { errorText } from "../api/error-message.ts";
import { compare } from "../api/label-selector.ts";
import type { Owner, Step } from "../compile/plan.ts";
import type { Outcome } from "../status/policy-status.ts";
import { NamespaceRests } from "./namespace-rests.ts";
import type { NetworkPolicyWriter } from "./network-policy-writer.ts";
import type { PolicyView } from "./policy-view.ts";

/** The writes that one namespace needs, in their order. */
export interface NamespaceWork {
  readonly namespace: string;
  readonly steps: readonly Step[];
}

export interface WriteResult {
  /** By name of the namespace. */
  readonly failures: Outcome["failures"];
  /** Of one of them. */
  readonly cause: unknown;
}

export interface NamespaceWritesDeps {
  readonly writer: NetworkPolicyWriter;
  readonly view: PolicyView;
  readonly isLeader: () => boolean;
  /** Whether a namespace is there and not going. */
  readonly isLive: (namespace: string) => boolean;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
}

/**
 * Namespaces that are written to at once, of one SegmentPolicy. Within a namespace writes are serial: their order
 * counts.
 */
const CONCURRENT_NAMESPACES = 8;

/** The leader's part: the writes of one SegmentPolicy in all its namespaces. Another replica writes nothing. */
export class NamespaceWrites {
  readonly #deps: NamespaceWritesDeps;
  readonly #rests: NamespaceRests;

  constructor(deps: NamespaceWritesDeps) {
    this.#deps = deps;
    this.#rests = new NamespaceRests(deps.monotonic);
  }

  /** One namespace that refuses does not hold up the others. */
  async execute(work: readonly NamespaceWork[], owner: Owner): Promise<WriteResult> {
    const failures: { namespace: string; message: string }[] = [];
    let cause: unknown;
    if (!this.#deps.isLeader()) return { failures, cause };
    await forEachAtMost(CONCURRENT_NAMESPACES, work, async ({ namespace, steps }) => {
      if (steps.length === 0) return;
      try {
        this.#rests.assertOver(owner.name, namespace);
        await this.#inOrder(namespace, steps, owner);
      } catch (error) {
        // A namespace that is going takes its NetworkPolicies with it.
        if (!this.#deps.isLive(namespace)) return;
        this.#rests.refused(owner.name, namespace, error);
        cause = error;
        failures.push({ namespace, message: errorText(error) });
      }
    });
    // By name, not by who was refused first: the status must not change with every try.
    return { failures: failures.toSorted((a, b) => compare(a.namespace, b.namespace)), cause };
  }

  async #inOrder(namespace: string, steps: readonly Step[], owner: Owner): Promise<void> {
    const { writer, view, isLeader } = this.#deps;
    const uids = new Map<string, string>();
    for (const step of steps) {
      // Another replica may have taken over between two writes.
      if (!isLeader()) return;
      switch (step.action) {
        case "create": {
          const created = await writer.create(namespace, step.part, owner);
          uids.set(created.metadata.name, created.metadata.uid);
          view.wrote(created);
          break;
        }
        case "update": {
          const uid = step.uid ?? uids.get(step.part.name) ?? "";
          if (step.reown === true) await writer.reown(namespace, step.part.name, uid, owner);
          view.wrote(await writer.update(namespace, step.part, owner, uid));
          break;
        }
        case "delete":
          await writer.remove(namespace, step.name, step.uid);
          view.removed(namespace, step.name, step.uid);
          break;
      }
    }
  }
}

async function forEachAtMost<T>(limit: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: Math.min(limit, items.length) }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
