import type { Pod } from "../api/workload.ts";

/** Pods by namespace: whoever asks about one segment must not have to look at the whole cluster. */
export class PodIndex {
  readonly #pods = new Map<string, Map<string, Pod>>();

  set(pod: Pod): void {
    const pods = this.#pods.get(pod.namespace) ?? new Map<string, Pod>();
    this.#pods.set(pod.namespace, pods.set(pod.name, pod));
  }

  delete({ namespace, name }: Pod): void {
    const pods = this.#pods.get(namespace);
    pods?.delete(name);
    if (pods?.size === 0) this.#pods.delete(namespace);
  }

  in(namespace: string): Iterable<Pod> {
    return this.#pods.get(namespace)?.values() ?? [];
  }
}
