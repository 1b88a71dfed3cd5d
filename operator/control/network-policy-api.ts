import { API_VERSION, FIELD_MANAGER } from "../api/meta.ts";
import { readNetworkPolicy } from "../api/network-policy-parser.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import type { Part } from "../compile/part.ts";
import { partLabels, type Owner } from "../compile/plan.ts";
import { applyPatch, create, deleteObject, type ApiObject } from "../kube/apply.ts";
import type { ApiClient } from "../kube/client.ts";
import { NETWORK_POLICIES, objectPath } from "../kube/resource.ts";
import type { NetworkPolicyWriter } from "./network-policy-writer.ts";

/** NetworkPolicyWriter over the API server. */
export class NetworkPolicyApi implements NetworkPolicyWriter {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  async create(namespace: string, part: Part, owner: Owner): Promise<NetworkPolicy> {
    const answer = await create(this.#client, NETWORK_POLICIES, manifest(namespace, part, owner), {
      fieldManager: FIELD_MANAGER,
    });
    return readNetworkPolicy(answer);
  }

  async update(namespace: string, part: Part, owner: Owner, uid: string): Promise<NetworkPolicy> {
    const body = manifest(namespace, part, owner, uid);
    return readNetworkPolicy(
      await applyPatch(this.#client, NETWORK_POLICIES, body, { fieldManager: FIELD_MANAGER, force: true }),
    );
  }

  async reown(namespace: string, name: string, uid: string, owner: Owner): Promise<void> {
    // By a patch that names the list: apply removes only what we own, and what a create has set belongs to the create.
    const body = [
      { op: "test", path: "/metadata/uid", value: uid },
      { op: "replace", path: "/metadata/ownerReferences", value: [controllerReference(owner)] },
    ];
    const path = objectPath(NETWORK_POLICIES, { namespace, name });
    const query = { fieldManager: FIELD_MANAGER };
    await this.#client.request({ method: "PATCH", path, query, body, contentType: "application/json-patch+json" });
  }

  async remove(namespace: string, name: string, uid: string): Promise<void> {
    await deleteObject(this.#client, NETWORK_POLICIES, { namespace, name }, uid);
  }
}

interface NetworkPolicyManifest extends ApiObject {
  readonly spec: Part["spec"];
}

/** The whole NetworkPolicy as JSON, empty lists included. */
function manifest(namespace: string, part: Part, owner: Owner, uid?: string): NetworkPolicyManifest {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: {
      namespace,
      name: part.name,
      ...(uid !== undefined && { uid }),
      labels: partLabels(part, owner),
      ownerReferences: [controllerReference(owner)],
    },
    spec: part.spec,
  };
}

function controllerReference({ name, uid }: Owner) {
  // blockOwnerDeletion stays off: it would need rights on SegmentPolicies that we have no other use for.
  return { apiVersion: API_VERSION, kind: "SegmentPolicy", name, uid, controller: true, blockOwnerDeletion: false };
}
