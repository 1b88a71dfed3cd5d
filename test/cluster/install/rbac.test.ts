import assert from "node:assert/strict";

import { Reader } from "../../../operator/api/reader.ts";
import { DEFAULT_SETTINGS } from "../../../operator/api/settings.ts";
import { enforcerDaemonSet } from "../../../operator/control/enforcer-daemonset.ts";
import { hasStatus } from "../../../operator/kube/api-error.ts";
import { applyPatch, create, deleteObject } from "../../../operator/kube/apply.ts";
import { KubeClient } from "../../../operator/kube/client.ts";
import { loadKubeConfig } from "../../../operator/kube/config.ts";
import { DAEMON_SETS } from "../../../operator/kube/resource.ts";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { controlPlane } from "../control-plane.ts";
import { callOf, mayCall } from "./call.ts";
import { grantsTo, serves } from "./grant.ts";
import { build, install, run, SYSTEM, withdraw } from "./kustomization.ts";
import { MADE, REFUSED } from "./rights.ts";

describe("the rights of the processes", function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let admin: KubeClient;

  before(async () => {
    plane = await controlPlane();
    await install(plane);
    admin = new KubeClient(loadKubeConfig(plane.kubeconfig, {}));
  });
  after(async () => {
    await admin.close();
    await withdraw(plane);
  });

  for (const [account, lines] of Object.entries(MADE)) {
    describe(account, () => {
      for (const line of lines) it(`may ${line}`, async () => assert.equal(await mayCall(admin, account, line), true));

      for (const line of REFUSED[account] ?? []) {
        it(`may not ${line}`, async () => assert.equal(await mayCall(admin, account, line), false));
      }

      it("has no right that none of its calls needs", async () => {
        const grants = grantsTo(account, await build(plane, "kustomize/base"));
        assert.ok(grants.length > 0);
        const calls = lines.map(callOf);
        assert.deepEqual(grants.filter((grant) => !calls.some((call) => serves(grant, call))), []);
      });
    });
  }

  it("are asked about kinds that there are", async () => {
    const kinds = new Set((await run(plane, ["api-resources", "--output=name"])).trim().split("\n"));
    // Only authorization knows these.
    for (const name of ["users", "groups", "*"]) kinds.add(name);
    const asked = [...Object.values(MADE), ...Object.values(REFUSED)].flat().map(callOf).map(({ group, resource }) => (
      [resource.split("/")[0], ...(group === "" ? [] : [group])].join(".")
    ));
    assert.deepEqual(asked.filter((kind) => !kinds.has(kind)), []);
  });

  it("let the operator make the enforcers' DaemonSet, and none of another name", async () => {
    const file = await plane.kubeconfigFor({ namespace: SYSTEM, name: "tierwall-operator" });
    const operator = new KubeClient(loadKubeConfig(file, {}));
    try {
      const image = { image: "tierwall", imagePullPolicy: "Never" };
      const placement = { namespace: SYSTEM, ...image, operator: "10.96.0.9:8443", owner: undefined };
      const wanted = enforcerDaemonSet(DEFAULT_SETTINGS, placement);
      const options = { fieldManager: "rbac-test", force: true };
      const made = await applyPatch(operator, DAEMON_SETS, wanted, options);
      const uid = new Reader(made).at("metadata").at("uid").text();
      const another = { ...wanted, metadata: { ...wanted.metadata, name: "another" } };
      const forbidden = (error: unknown) => hasStatus(error, 403);
      await assert.rejects(applyPatch(operator, DAEMON_SETS, another, options), forbidden);
      await assert.rejects(create(operator, DAEMON_SETS, another, options), forbidden);
      await deleteObject(operator, DAEMON_SETS, { namespace: SYSTEM, name: "tierwall-enforcer" }, uid);
    } finally {
      await operator.close();
    }
  });
});
