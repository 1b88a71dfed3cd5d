import assert from "node:assert/strict";
import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import { waitFor } from "../../lab/wait.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, segmentPolicy } from "./segment.ts";

const WARNED_MS = 20_000;

describe("the operator: the address of the cluster's DNS", function () {
  this.timeout(60_000);
  let installation: Installation;
  let operator: OperatorProcess;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start({});
    operator = await installation.startOperator("dns");
    await operator.untilReady();
    await installation.apply(namespace("resolving", "resolving"), segmentPolicy("resolving"));
    await installation.until("resolving", "Ready", "True", 30_000);
  });

  after(() => installation?.stop());

  function kubeDns(address: string): Promise<void> {
    const ports = [{ name: "dns", protocol: "UDP", port: 53 }];
    return installation.apply({
      apiVersion: "v1", kind: "Service", metadata: { name: "kube-dns", namespace: "kube-system" },
      spec: { clusterIP: address, clusterIPs: [address], ports },
    });
  }

  /** By part, whether its DNS rule lets packets out to this address. */
  async function reaches(address: string): Promise<readonly boolean[]> {
    const found = (await installation.networkPolicies("resolving")).map(readNetworkPolicy);
    const open = found.filter(({ metadata }) => metadata.labels["tierwall.io/part"] !== "quarantine");
    assert.equal(open.length, 3);
    return open.map(({ spec }) => spec.egress.flatMap(({ to = [] }) => to))
      .map((peers) => peers.some(({ ipBlock }) => ipBlock?.cidr === `${address}/32`));
  }

  async function untilReached(address: string): Promise<void> {
    const all = async () => (await reaches(address)).every(Boolean) || undefined;
    await waitFor(`every part reaches ${address}`, all, { timeoutMs: 10_000 });
  }

  it("is in every part as soon as it is known, and so is its next one", async () => {
    await kubeDns("10.96.0.10");
    await untilReached("10.96.0.10");
    await installation.kubectl("delete", "service/kube-dns", "--namespace=kube-system");
    await kubeDns("10.96.0.20");
    await untilReached("10.96.0.20");
    assert.deepEqual(await reaches("10.96.0.10"), [false, false, false]);
  });

  it("that is gone cuts nobody: the last known one holds, and a warning names it", async () => {
    const mark = await installation.audit.mark();
    await installation.kubectl("delete", "service/kube-dns", "--namespace=kube-system");
    await installation.untilShown("resolving", "a warning", ({ conditions = [] }) =>
      conditions.some(({ type, message }) => type === "Warnings" && /kube-dns/.test(message)), WARNED_MS);
    await calm();
    const writes = await installation.audit.segmentWrites(mark);
    assert.deepEqual(writes.filter(({ resource }) => resource === "networkpolicies"), []);
    await installation.until("resolving", "Ready", "True");
  });

  it("that is gone cuts nobody over a restart either", async () => {
    const mark = await installation.audit.mark();
    await operator.stop();
    operator = await installation.startOperator("dns-again");
    await operator.untilReady();
    await operator.untilLeading();
    await calm(2_500);
    const writes = await installation.audit.segmentWrites(mark);
    assert.deepEqual(writes.filter(({ resource }) => resource === "networkpolicies"), []);
    await untilReached("10.96.0.20");
  });

  it("is followed again when it comes back", async () => {
    await kubeDns("10.96.0.30");
    await untilReached("10.96.0.30");
    assert.deepEqual(await reaches("10.96.0.20"), [false, false, false]);
  });

  keepsGoodConduct(() => installation);
});
