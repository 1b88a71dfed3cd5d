import assert from "node:assert/strict";
import { waitFor } from "../../lab/wait.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { Installation } from "./installation.ts";
import { kstatus, type KStatus } from "./kstatus.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, segmentPolicy } from "./segment.ts";

describe("the operator: what tools that wait on a status see", function () {
  this.timeout(60_000);
  let installation: Installation;
  let operator: OperatorProcess;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    await installation.apply(namespace("waited", "waited"), segmentPolicy("waited"));
  });

  after(() => installation?.stop());

  async function until(wanted: KStatus, timeoutMs = 20_000): Promise<void> {
    await waitFor(`the status is ${wanted}`, async () => {
      const policy = await installation.policy("waited");
      if (kstatus(policy) === wanted) return true;
      throw new Error(JSON.stringify(policy.status));
    }, { timeoutMs });
  }

  /** The first status after a change: never what held before it. */
  async function first(): Promise<KStatus> {
    return kstatus(await installation.policy("waited"));
  }

  function finalizers(list: readonly string[] | null): Promise<string> {
    const change = `--patch=${JSON.stringify({ metadata: { finalizers: list } })}`;
    return installation.kubectl("patch", "segpol/waited", "--type=merge", change);
  }

  it("InProgress before anybody has looked at it", async () => {
    assert.equal(await first(), "InProgress");
  });

  it("Current when it is in place, and then `kubectl wait` returns", async () => {
    operator = await installation.startOperator("waited");
    await until("Current", 30_000);
    await installation.kubectl("wait", "segpol/waited", "--for=condition=Ready", "--timeout=5s");
  });

  it("InProgress again with every edit that nobody has looked at", async () => {
    await operator.stop();
    await installation.apply(segmentPolicy("waited", { defaultDeny: "TierPods" }));
    assert.equal(await first(), "InProgress");
    operator = await installation.startOperator("waited-again");
    await until("Current", 30_000);
  });

  it("Failed for what only an edit can mend, and Current after that", async () => {
    await installation.apply(segmentPolicy("waited", { suspend: true, dns: "Deny" }));
    await until("Failed");
    await installation.apply(segmentPolicy("waited", { suspend: true, defaultDeny: "TierPods" }));
    await until("Current");
    await installation.apply(segmentPolicy("waited", { dns: "Deny" }));
    await until("Current");
  });

  it("InProgress, not Failed, while a stranger's NetworkPolicy is in the way", async () => {
    const stranger = (await installation.networkPolicies("waited"))[0];
    assert.ok(stranger);
    const { name } = stranger.metadata;
    await operator.stop();
    await installation.kubectl("delete", "netpol", name, "--namespace=waited");
    await installation.apply({
      apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name, namespace: "waited" },
      spec: { podSelector: {}, policyTypes: ["Ingress"] },
    });
    operator = await installation.startOperator("waited-blocked");
    await until("InProgress", 30_000);
    await installation.kubectl("delete", "netpol", name, "--namespace=waited");
    await until("Current");
  });

  it("Terminating while it is being deleted", async () => {
    await finalizers(["example.com/keep"]);
    await installation.kubectl("delete", "segpol/waited", "--wait=false");
    assert.equal(await first(), "Terminating");
    await installation.untilNamed("waited", []);
    await finalizers(null);
  });

  keepsGoodConduct(() => installation);
});
