import { hasStatus } from "./api-error.ts";
import type { ApiClient, ApiRequest } from "./client.ts";
import { collectionPath, objectPath, type ObjectName, type Resource } from "./resource.ts";

/** What every object we send has; the rest of it is sent as it is. */
export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: SentMeta;
}

export interface SentMeta extends ObjectName {
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly unknown[];
}

/** How long an answer is waited for. */
export type Limits = Pick<ApiRequest, "signal" | "timeoutMs">;

export interface ApplyOptions extends Limits {
  readonly fieldManager: string;
  /** Take over fields that another manager owns; without it that is a 409. */
  readonly force?: boolean;
}

/** The object as it is now; `undefined` if there is none of that name. @throws ApiError, Unreachable */
export async function find(
  client: Pick<ApiClient, "request">,
  resource: Resource,
  name: ObjectName,
  limits: Limits = {},
): Promise<unknown> {
  try {
    return await client.request({ method: "GET", path: objectPath(resource, name), ...limits });
  } catch (error) {
    if (hasStatus(error, 404)) return undefined;
    throw error;
  }
}

/** @throws ApiError 409 AlreadyExists if the name is taken: create never adopts. */
export function create(
  client: ApiClient, resource: Resource, object: ApiObject, { fieldManager, ...limits }: Omit<ApplyOptions, "force">,
): Promise<unknown> {
  const path = collectionPath(resource, object.metadata.namespace);
  const query = { fieldManager, fieldValidation: "Strict" };
  return client.request({ method: "POST", path, query, body: object, ...limits });
}

/**
 * Server-side apply. With `metadata.uid` it only ever changes that very object.
 * @throws ApiError 422 Invalid if the name is another object's by now, 409 Conflict if nothing has the name any more
 */
export function applyPatch(
  client: ApiClient, resource: Resource, object: ApiObject, options: ApplyOptions,
): Promise<unknown> {
  return patch(client, objectPath(resource, object.metadata), object, options);
}

/** Server-side apply of the status subresource. */
export function applyStatus(
  client: ApiClient, resource: Resource, object: ApiObject, options: ApplyOptions,
): Promise<unknown> {
  return patch(client, objectPath(resource, object.metadata, "status"), object, options);
}

/** Deletes the object with this uid, or finds it gone. @throws ApiError 409 if the name is another object's by now */
export async function deleteObject(
  client: ApiClient, resource: Resource, name: ObjectName, uid: string, limits: Limits = {},
): Promise<void> {
  const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } };
  try {
    await client.request({ method: "DELETE", path: objectPath(resource, name), body, ...limits });
  } catch (error) {
    if (!hasStatus(error, 404)) throw error;
  }
}

function patch(
  client: ApiClient, path: string, body: ApiObject, { fieldManager, force = false, ...limits }: ApplyOptions,
): Promise<unknown> {
  const query = { fieldManager, force: String(force), fieldValidation: "Strict" };
  // JSON is YAML, and this is the only media type of apply that every supported server knows.
  const contentType = "application/apply-patch+yaml";
  return client.request({ method: "PATCH", path, query, body, contentType, ...limits });
}
