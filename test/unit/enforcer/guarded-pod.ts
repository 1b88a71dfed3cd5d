import type { NodeState } from "../../../operator/api/node-state.ts";
import type { FamilyPlan } from "../../../operator/enforcer/family-firewall.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

/** Of a firewall to which nothing happens by itself. */
export const PLAN: FamilyPlan = {
  options: DEFAULT_OPTIONS, mask: 0xffff0000, ownAddresses: new Set(), leaversMs: 0, monotonic: () => 0,
};

/** One pod that these peers may talk to. */
export function guarded(peers: readonly string[]): NodeState {
  return nodeState({
    pods: { db: { address: "10.1.0.5", ingress: ["db"] } },
    policies: { db: { ingress: [{ peers: ["peers"] }] } },
    peers: { peers },
  });
}
