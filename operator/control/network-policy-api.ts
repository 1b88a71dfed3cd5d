import { API_VERSION, FIELD_MANAGER } from "../api/meta.ts";
import { readNetworkPolicy } from "../api/network-policy-parser.ts";
import type { NetworkPolicy } from "../api/network-policy.ts";
import type { Part } from "../compile/part.ts";
import { partLabels, type Owner } from "../compile/plan.ts";
import { applyPatch, create, deleteObject, type ApiObject } from "../kube/apply.ts";
import type { ApiClient, ApiRequest } from "../kube/client.ts";
import { NETWORK_POLICIES, objectPath } from "../kube/resource.ts";
import type { NetworkPolicyWriter } from "./network-policy-writer.ts";
import type { OverdueWrites } from "./overdue-writes.ts";

/** Beyond the 34 s after which an API server gives up a write itself, and says what it has waited for. */
const TIMEOUT_MS = 40_000;

/** NetworkPolicyWriter over the API server. */
export class NetworkPolicyApi implements NetworkPolicyWriter {
  readonly #client: ApiClient;
  readonly #overdue: OverdueWrites;

  constructor(client: ApiClient, overdue: OverdueWrites) {
    this.#client = client;
    this.#overdue = overdue;
  }

  async create(namespace: string, part: Part, owner: Owner): Promise<NetworkPolicy> {
    const body = manifest(namespace, part, owner);
    const options = { fieldManager: FIELD_MANAGER, timeoutMs: TIMEOUT_MS };
    const send = () => create(this.#client, NETWORK_POLICIES, body, options);
    return readNetworkPolicy(await this.#overdue.write(namespace, send));
  }

  async update(namespace: string, part: Part, owner: Owner, uid: string): Promise<NetworkPolicy> {
    const body = manifest(namespace, part, owner, uid);
    const options = { fieldManager: FIELD_MANAGER, force: true, timeoutMs: TIMEOUT_MS };
    const send = () => applyPatch(this.#client, NETWORK_POLICIES, body, options);
    return readNetworkPolicy(await this.#overdue.write(namespace, send));
  }

  async reown(namespace: string, name: string, uid: string, owner: Owner): Promise<void> {
    // By a patch that names the list: apply removes only what we own, and what a create has set belongs to the create.
    const body = [
      { op: "test", path: "/metadata/uid", value: uid },
      { op: "replace", path: "/metadata/ownerReferences", value: [controllerReference(owner)] },
    ];
    const request: ApiRequest = {
      method: "PATCH", path: objectPath(NETWORK_POLICIES, { namespace, name }), query: { fieldManager: FIELD_MANAGER },
      body, contentType: "application/json-patch+json", timeoutMs: TIMEOUT_MS,
    };
    await this.#overdue.write(namespace, () => this.#client.request(request));
  }

  async remove(namespace: string, name: string, uid: string): Promise<void> {
    const limits = { timeoutMs: TIMEOUT_MS };
    const send = () => deleteObject(this.#client, NETWORK_POLICIES, { namespace, name }, uid, limits);
    await this.#overdue.write(namespace, send);
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
