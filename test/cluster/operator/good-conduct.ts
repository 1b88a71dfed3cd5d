import assert from "node:assert/strict";
import type { Call } from "./audit-log.ts";
import { ACCOUNT, type Installation } from "./installation.ts";

const OPERATOR = `system:serviceaccount:${ACCOUNT.namespace}:${ACCOUNT.name}`;
/** The test itself and the enforcers that it plays, the control plane, and the probes of the API server's readiness. */
const OTHERS = [
  /^tierwall-lab-admin$/, /^system:serviceaccount:tierwall-system:tierwall-enforcer$/, /^system:apiserver$/,
  /^system:kube-controller-manager$/, /^system:serviceaccount:kube-system:/,
];
const PROBES = /^\/(readyz|livez|healthz)/;

/**
 * Adds the tests that every suite with an operator ends with: what was seen of it on the way was in order.
 * @param excused refusals that are not the operator's fault
 */
export function keepsGoodConduct(
  installation: () => Installation, excused: (call: Call) => boolean = () => false,
): void {
  // Mocha runs a suite's own tests before its inner suites: only an inner one comes after other inner ones.
  describe("all the while", () => {
    it("showed no status that breaks the contract", () => {
      assert.ok(installation().statuses.assertContract() > 0, "no status was seen");
    });

    it("was refused nothing, and used no other identity than its ServiceAccount", async () => {
      const calls = await installation().audit.calls();
      const own = calls.filter(({ user }) => user === OPERATOR);
      assert.ok(own.length > 0, "no request of the operator was seen");
      // Between a namespace's deletion and the watch telling of it a create is refused for that reason alone.
      const terminated = ({ message }: Call) => message.includes("is being terminated");
      const refused = own.filter((call) => [401, 403].includes(call.code) && !terminated(call) && !excused(call));
      assert.deepEqual(refused, []);
      const others = calls.filter(({ user, uri }) => user !== OPERATOR && !PROBES.test(uri));
      const strangers = others.filter(({ user }) => !OTHERS.some((other) => other.test(user)));
      assert.deepEqual(strangers, []);
    });
  });
}
