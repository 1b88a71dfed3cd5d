import { API_VERSION, FIELD_MANAGER } from "../api/meta.ts";
import type { SegmentNodeReport } from "../api/segment-node-parser.ts";
import type { Node } from "../api/workload.ts";
import { hasStatus } from "../kube/api-error.ts";
import { create, type ApiObject } from "../kube/apply.ts";
import type { ApiClient } from "../kube/client.ts";
import { SEGMENT_NODES } from "../kube/resource.ts";

/**
 * Gives every Linux node its SegmentNode. It is owned by the Node, so that it goes with it; its status is
 * its enforcer's alone to write.
 */
export class SegmentNodeReconciler {
  readonly #client: ApiClient;
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #segmentNodes: ReadonlyMap<string, SegmentNodeReport>;
  readonly #active: () => boolean;

  /** `active`: this replica is the leader, and enforcement is ours. */
  constructor(deps: {
    readonly client: ApiClient;
    readonly nodes: ReadonlyMap<string, Node>;
    readonly segmentNodes: ReadonlyMap<string, SegmentNodeReport>;
    readonly active: () => boolean;
  }) {
    this.#client = deps.client;
    this.#nodes = deps.nodes;
    this.#segmentNodes = deps.segmentNodes;
    this.#active = deps.active;
  }

  /** @throws ApiError */
  async reconcile(name: string): Promise<void> {
    const node = this.#nodes.get(name);
    if (!this.#active() || node === undefined || node.operatingSystem !== "linux" || this.#segmentNodes.has(name))
      return;
    const object: ApiObject = {
      apiVersion: API_VERSION,
      kind: "SegmentNode",
      metadata: {
        name,
        ownerReferences: [{ apiVersion: "v1", kind: "Node", name, uid: node.uid, blockOwnerDeletion: false }],
      },
    };
    try {
      await create(this.#client, SEGMENT_NODES, object, { fieldManager: FIELD_MANAGER });
    } catch (error) {
      // Made by the leader before us; the watch will show it.
      if (!hasStatus(error, 409)) throw error;
    }
  }
}
