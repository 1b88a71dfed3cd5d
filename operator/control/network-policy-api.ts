import { API_VERSION, FIELD_MANAGER } from "../api/meta.ts";
import { readNetworkPolicy } from "../api/network-policy-parser.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import type { Part } from "../compile/part.ts";
import { partLabels, type Owner } from "../compile/plan.ts";
import { applyPatch, create, deleteObject, type ApiObject } from "../kube/apply.ts";
import type { ApiClient } from "../kube/client.ts";
import { NETWORK_POLICIES } from "../kube/resource.ts";
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
      // blockOwnerDeletion stays off: it would need rights on SegmentPolicies that we have no other use for.
      ownerReferences: [
        {
          apiVersion: API_VERSION,
          kind: "SegmentPolicy",
          name: owner.name,
          uid: owner.uid,
          controller: true,
          blockOwnerDeletion: false,
        },
      ],
    },
    spec: part.spec,
  };
}
