import type { LabelSelector } from "../api/label-selector.ts";
import type { Labels } from "../api/meta.ts";

/** What a selector hangs on: `key=value` or `key` that it cannot do without, `""` if there is none. */
type Hook = string;

/** The hooks that an object with these labels pulls. Worth keeping with the object. */
export function hooksOf(labels: Labels): readonly Hook[] {
  return ["", ...Object.entries(labels).flatMap(([key, value]) => [key, `${key}=${value}`])];
}

/**
 * Things found by label selectors. Each hangs on one label that its selector requires, so that an object asks only
 * those which may select it: the cost of a pod event does not grow with the number of selectors in the cluster.
 */
export class SelectorIndex<Item extends { readonly selector: LabelSelector }> {
  readonly #byHook = new Map<Hook, Set<Item>>();

  add(item: Item): void {
    for (const hook of requiredHooks(item.selector)) {
      const items = this.#byHook.get(hook);
      if (items === undefined) this.#byHook.set(hook, new Set([item]));
      else items.add(item);
    }
  }

  delete(item: Item): void {
    for (const hook of requiredHooks(item.selector)) {
      const items = this.#byHook.get(hook);
      items?.delete(item);
      if (items?.size === 0) this.#byHook.delete(hook);
    }
  }

  /** Everything that may select an object with these hooks; each item at most once. */
  *candidates(hooks: readonly Hook[]): Generator<Item> {
    for (const hook of hooks) {
      const items = this.#byHook.get(hook);
      if (items !== undefined) yield* items;
    }
  }

  get empty(): boolean {
    return this.#byHook.size === 0;
  }
}

/** All of one key, so that an object, which has one value for it, pulls at most one of them. */
function requiredHooks({ matchLabels = {}, matchExpressions = [] }: LabelSelector): readonly Hook[] {
  const [label] = Object.entries(matchLabels);
  if (label !== undefined) return [`${label[0]}=${label[1]}`];
  const listed = matchExpressions.find(({ operator }) => operator === "In");
  if (listed !== undefined) return [...new Set(listed.values)].map((value) => `${listed.key}=${value}`);
  const required = matchExpressions.find(({ operator }) => operator === "Exists");
  return [required?.key ?? ""];
}
