import type { NetworkPolicy } from "../api/network-policy.ts";
import type { Part } from "../compile/part.ts";
import type { Owner } from "../compile/plan.ts";

/** What a reconcile writes, each time to one NetworkPolicy. */
export interface NetworkPolicyWriter {
  /** @throws ApiError 409 if the name is taken: nothing is adopted by accident */
  create(namespace: string, part: Part, owner: Owner): Promise<NetworkPolicy>;
  /** Server-side apply onto this very object. @throws ApiError 422 if another has the name, 409 if it is gone */
  update(namespace: string, part: Part, owner: Owner, uid: string): Promise<NetworkPolicy>;
  /** Puts the SegmentPolicy in the place of whatever owns the object. @throws ApiError 422 if another has the name */
  reown(namespace: string, name: string, uid: string, owner: Owner): Promise<void>;
  /** Succeeds also if it is gone already. @throws ApiError 409 if the name is another object's by now */
  remove(namespace: string, name: string, uid: string): Promise<void>;
}
