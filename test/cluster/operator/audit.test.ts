import assert from "node:assert/strict";
import type { LocalPod, NodeState } from "../../../operator/api/node-state.ts";
import type { Part } from "../../../operator/compile/part.ts";
import { waitFor } from "../../lab/wait.ts";
import type { Call } from "./audit-log.ts";
import { enforcerObjects, report, untilTold, type Told } from "./enforcers.ts";
import { FaultyApiServer } from "./faulty-api-server.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { ACCOUNT, calm, Installation } from "./installation.ts";
import { kstatus } from "./kstatus.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { kindsOf, namespace, partsOf, segmentPolicy } from "./segment.ts";

const NODE = "audit-node";
/** Of the SegmentPolicy and of its one namespace. */
const NAME = "audited";
const AUDIT = { mode: "Audit" };

describe("the operator: a SegmentPolicy in mode Audit", function () {
  this.timeout(60_000);
  let installation: Installation;
  let faulty: FaultyApiServer;
  let operator: OperatorProcess;
  let enforced: readonly Part[];

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start({});
    faulty = await FaultyApiServer.start(installation.plane);
    await installation.apply(...enforcerObjects(NODE), namespace(NAME, NAME));
    await patchStatus("node", NODE, { conditions: [{ type: "Ready", status: "True", reason: "Up", message: "up" }] });
    await pod("db-0", "10.1.0.1", { tier: "db" });
    await pod("job-0", "10.1.0.2", {});
    await installation.apply({
      apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "dormant", namespace: NAME },
      spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ ports: [{ port: 80 }] }] },
    });
    await start("managed", "Managed");
  });
  after(async () => {
    await installation?.stop();
    await faulty?.stop();
  });

  async function start(name: string, enforcer: "Managed" | "Disabled"): Promise<void> {
    await operator?.stop();
    const kubeconfig = await installation.operatorKubeconfig(`${NAME}-${name}`);
    await faulty.divert(kubeconfig);
    operator = await installation.startOperatorWith(`${NAME}-${name}`, kubeconfig, { enforcer });
    await operator.untilReady();
    await operator.untilLeading();
  }

  async function patchStatus(kind: string, name: string, status: object, ...where: readonly string[]): Promise<void> {
    const patch = `--patch=${JSON.stringify({ status })}`;
    await installation.kubectl("patch", `${kind}/${name}`, ...where, "--subresource=status", "--type=merge", patch);
  }

  async function pod(name: string, address: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const containers = [{ name: "c", image: "none" }];
    await installation.apply(
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: NAME } },
      {
        apiVersion: "v1", kind: "Pod", metadata: { name, namespace: NAME, labels },
        spec: { nodeName: NODE, containers },
      },
    );
    const status = { phase: "Running", podIP: address, podIPs: [{ ip: address }] };
    await patchStatus("pod", name, status, `--namespace=${NAME}`);
  }

  /** The operator's writes to NetworkPolicies there. */
  async function writes(mark: number): Promise<readonly Call[]> {
    return (await installation.audit.calls(mark)).filter((call) => call.resource === "networkpolicies"
      && call.namespace === NAME && call.user.endsWith(`:${ACCOUNT.name}`)
      && ["create", "patch", "delete"].includes(call.verb));
  }

  /** The names of the namespace's NetworkPolicies, but for the user's own. */
  async function written(): Promise<readonly string[]> {
    return (await installation.networkPolicies(NAME)).map(({ metadata }) => metadata.name)
      .filter((name) => name !== "dormant");
  }

  async function nothingLeft(): Promise<void> {
    const look = async () => (await written()).length === 0 || undefined;
    await waitFor("nothing but the user's own is left", look, { timeoutMs: 10_000 });
  }

  const podOf = (state: NodeState | undefined, name: string): LocalPod | undefined =>
    state?.pods.values().find((local) => local.name === name);
  const isAudited = (state: NodeState) => podOf(state, "db-0")?.audits !== undefined;
  const isIsolated = (state: NodeState) => (podOf(state, "db-0")?.ingress.length ?? 0) > 0;
  const told = <T>(wanted: (told: Told) => T | undefined): Promise<T> =>
    untilTold(installation, operator, NODE, wanted);

  /** Every state that the node is told from before `change` until one is as `last` says. */
  async function during(
    change: () => Promise<void>, last: (state: NodeState) => boolean,
  ): Promise<readonly NodeState[]> {
    let changed: Promise<void> | undefined;
    const states = await told(({ state, states: all }) => {
      if (state === undefined) return undefined;
      changed ??= change();
      return last(state) ? all : undefined;
    });
    await changed;
    return states;
  }

  /** Confirms what the node is told, until the policy is ready. */
  async function confirmed(mode: Readonly<Record<string, unknown>>): Promise<void> {
    await installation.apply(segmentPolicy(NAME, mode));
    const { metadata: { generation } } = await installation.policy(NAME);
    const isDone = (state: NodeState) => state.generations.get(NAME)?.generation === generation;
    const state = await told((now) => (now.state && isDone(now.state) ? now.state : undefined));
    await report(installation, NODE, "Enforcing", state);
    await installation.until(NAME, "Ready", "True");
  }

  it("tells the node of the pod what would count, isolates nobody and writes nothing", async () => {
    const mark = await installation.audit.mark();
    await installation.apply(segmentPolicy(NAME, AUDIT));
    const parts = partsOf(await installation.policy(NAME));
    const state = await told((now) => (now.state && isAudited(now.state) ? now.state : undefined));
    const ids = (...kinds: readonly string[]) => parts.filter((part) => kinds.includes(part.tier ?? part.kind))
      .map(({ name }) => `audit:${NAME}/${name}`);
    const audit = (tier: string, audited: readonly string[]) =>
      [{ policy: NAME, tier, ingress: [...audited, `${NAME}/dormant`].toSorted(), egress: audited.toSorted() }];
    assert.deepEqual(podOf(state, "db-0")?.audits, audit("db", ids("db", "default")));
    assert.deepEqual(podOf(state, "job-0")?.audits, audit("", ids("default")));
    for (const local of state.pods.values()) assert.deepEqual([local.ingress, local.egress], [[], []]);
    await calm(500);
    assert.deepEqual(await writes(mark), []);
    assert.deepEqual(await written(), []);
  });

  it("is Ready when the node has confirmed, and not before", async () => {
    const waiting = await installation.until(NAME, "Ready", "False");
    assert.equal(kstatus(waiting), "InProgress");
    await confirmed(AUDIT);
    const shown = await installation.policy(NAME);
    const of = (type: string) => shown.status.conditions?.find((condition) => condition.type === type);
    assert.deepEqual([of("Ready")?.reason, of("Enforced")?.status, of("Enforced")?.reason],
      ["Auditing", "False", "Auditing"]);
    assert.equal(of("Ready")?.message, "would-be rules of 1 namespace audited on 1 of 1 node; nothing is enforced");
    assert.equal(kstatus(shown), "Current");
    assert.equal(shown.status.networkPolicies, 0);
    const [, line = ""] = (await installation.kubectl("get", "segpol", NAME)).split("\n");
    assert.deepEqual(line.split(/\s+/).slice(1, 7), ["Audit", "1/1", "0", "1/1", "True", "Auditing"]);
  });

  it("is audited from the first word to a node after a restart", async () => {
    await start("again", "Managed");
    const [first] = await told(({ states }) => (states.length > 0 ? states : undefined));
    assert.ok(first && isAudited(first));
  });

  it("to Enforce: rolls out in order, and is audited until all of it is in place", async () => {
    const mark = await installation.audit.mark();
    const states = await during(
      () => installation.apply(segmentPolicy(NAME)), (state) => isIsolated(state) && !isAudited(state),
    );
    enforced = partsOf(await installation.policy(NAME));
    const calls = await writes(mark);
    assert.deepEqual(calls.map(({ verb }) => verb), ["create", "create", "create", "create"]);
    assert.deepEqual(kindsOf(enforced, calls.map(({ name }) => name)), ["quarantine", "tier", "tier", "default"]);
    const last = podOf(states.at(-1), "job-0");
    assert.equal(last?.ingress.length, 2, "the default part and the user's own");
    for (const state of states.slice(0, -1)) assert.ok(isAudited(state), "audited until the last batch");
    await confirmed({});
  });

  it("to Audit: opens the node's pods in one batch, and takes away in order", async () => {
    const mark = await installation.audit.mark();
    const states = await during(() => installation.apply(segmentPolicy(NAME, AUDIT)), isAudited);
    for (const state of states) {
      assert.ok(isAudited(state) !== isIsolated(state), "either enforced whole or audited");
      const live = [...state.policies.keys()].filter((id) => !id.startsWith("audit:") && id !== `${NAME}/dormant`);
      assert.equal(live.length, isAudited(state) ? 0 : 2, "the tier and the default part, or none");
    }
    await nothingLeft();
    await confirmed(AUDIT);
    const calls = await writes(mark);
    assert.deepEqual([...new Set(calls.map(({ verb }) => verb))], ["delete"]);
    assert.deepEqual(kindsOf(enforced, calls.map(({ name }) => name)), ["default", "tier", "tier", "quarantine"]);
  });

  it("back to Enforce with other rules is enforced when no old ones are left, and then whole", async () => {
    await installation.apply(segmentPolicy(NAME));
    await installation.until(NAME, "PoliciesApplied", "True");
    const refused = { status: 500, reason: "InternalError", message: "not now" };
    const its = `/namespaces/${NAME}/networkpolicies/`;
    faulty.inject((method, path) => (method === "DELETE" && path.includes(its) ? refused : undefined));
    await installation.apply(segmentPolicy(NAME, AUDIT));
    await installation.untilShown(NAME, "it is refused", ({ conditions = [] }) =>
      conditions.some(({ reason }) => reason === "WriteFailed"));
    const tiers = [{ name: "web" }, { name: "db", ingress: [{ from: [{ tier: "web" }], ports: [{ port: 5433 }] }] }];
    const states = await during(() => installation.apply(segmentPolicy(NAME, { tiers })), isIsolated);
    faulty.heal();
    assert.ok(states.slice(0, -1).every(isAudited));
    const state = states.at(-1);
    const rules = podOf(state, "db-0")?.ingress.flatMap((id) => state?.policies.get(id)?.ingress ?? []) ?? [];
    const ports = rules.map((rule) => JSON.stringify(rule.ports)).toSorted();
    assert.deepEqual(ports, [5433, 80].map((port) => JSON.stringify([{ protocol: "TCP", port }])));
    assert.equal(podOf(state, "db-0")?.ingress.length, 3, "the tier, the default part and the user's own");
  });

  it("takes away what somebody makes in its name", async () => {
    await installation.apply(segmentPolicy(NAME));
    await installation.until(NAME, "PoliciesApplied", "True");
    const ours = (await installation.networkPolicies(NAME)).find(({ metadata }) => metadata.name !== "dormant");
    const labels = ours?.metadata.labels;
    await installation.apply(segmentPolicy(NAME, AUDIT));
    await installation.until(NAME, "PoliciesApplied", "True");
    const forged = {
      apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "forged", namespace: NAME, labels },
      spec: { podSelector: {}, policyTypes: ["Ingress"] },
    };
    const create = ["create", "--field-manager=tierwall", "--filename=-"];
    const { code, stderr } = await installation.plane.kubectl(create, { input: JSON.stringify(forged) });
    assert.equal(code, 0, stderr);
    await nothingLeft();
  });

  it("that is deleted leaves nothing on the node", async () => {
    await during(
      async () => void await installation.kubectl("delete", "segpol", NAME),
      (state) => !isAudited(state) && state.generations.size === 0,
    );
  });

  describe("where enforcement is left to the CNI", () => {
    before(() => start("unmanaged", "Disabled"));

    it("says AuditNeedsEnforcer, which only an edit can mend", async () => {
      await installation.apply(segmentPolicy(NAME, AUDIT));
      const shown = await installation.until(NAME, "Stalled", "True");
      const ready = shown.status.conditions?.find(({ type }) => type === "Ready");
      assert.deepEqual([ready?.status, ready?.reason, kstatus(shown)], ["False", "AuditNeedsEnforcer", "Failed"]);
      assert.deepEqual(await written(), []);
    });

    it("goes to Enforce and back with the same order of writes", async () => {
      await installation.apply(segmentPolicy(NAME));
      const parts = partsOf(await installation.until(NAME, "Ready", "True"));
      const mark = await installation.audit.mark();
      await installation.apply(segmentPolicy(NAME, AUDIT));
      await installation.until(NAME, "Stalled", "True");
      const names = (await writes(mark)).map(({ name }) => name);
      assert.deepEqual(kindsOf(parts, names), ["default", "tier", "tier", "quarantine"]);
    });

    it("leaves what is live while it is suspended", async () => {
      await installation.apply(segmentPolicy(NAME));
      await installation.until(NAME, "Ready", "True");
      await installation.apply(segmentPolicy(NAME, { ...AUDIT, suspend: true }));
      const shown = await installation.until(NAME, "Stalled", "True");
      assert.equal(shown.status.conditions?.find(({ type }) => type === "Ready")?.reason, "Suspended");
      assert.equal((await written()).length, 4);
      await installation.apply(segmentPolicy(NAME, AUDIT));
      await installation.untilShown(NAME, "nothing left", ({ namespaces }) => namespaces?.applied === 1);
      assert.deepEqual(await written(), []);
    });
  });

  keepsGoodConduct(() => installation);
});
