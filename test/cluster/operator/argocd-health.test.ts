import assert from "node:assert/strict";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { healthOf, healthTests } from "../install/argocd-health.ts";
import { untilAsInFile } from "./argocd-situations.ts";
import { enforcerObjects, report, untilTold } from "./enforcers.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, partsOf, segmentPolicy } from "./segment.ts";

const NODE = "argocd-node";
/** A segment of one tier; the others have none, and so nothing to warn of. */
const TIERED = "shop";
const BARE = { tiers: [] };
const AUDIT = { ...BARE, mode: "Audit" };
/** An address that is not known would be warned of. */
const CLUSTER_DNS = {
  apiVersion: "v1", kind: "Service", metadata: { name: "kube-dns", namespace: "kube-system" },
  spec: { ports: [{ port: 53, protocol: "UDP" }] },
};
const ASSERTIONS = [{ from: [{ anywhere: {} }], to: [{ tier: "db" }], expect: "Deny" }];
const SLOW = {
  reason: "ApplyStalled", message: "what the node is to do takes longer than 7 s, and is still waited for",
};

const shop = (more: Readonly<Record<string, unknown>> = {}) => segmentPolicy(TIERED, {
  tiers: [{ name: "db", ingress: [{ from: [{ anywhere: {} }], ports: [{ port: 5432 }] }] }], ...more,
});

/** Its steps follow one another: what Argo CD shows while a policy lives, and the test data for its script. */
describe("the operator: what Argo CD shows", function () {
  this.timeout(60_000);
  let installation: Installation;
  let operator: OperatorProcess;
  const seen = new Set<string>();

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start({});
    const names = [TIERED, "bare", "audited", "asserting", "behind", "taken"];
    await installation.apply(CLUSTER_DNS, ...names.map((name) => namespace(name, name)));
  });
  after(() => installation?.stop());

  /** Adds a test: what is shown is what the file holds, and the script makes of it what health_test.yaml says. */
  function shows(what: string, name: string, file: string, ready?: string): void {
    it(what, async () => {
      const policy = await untilAsInFile(installation, name, `${file}.yaml`, ready);
      const test = healthTests().find(({ inputPath }) => inputPath === `testdata/${file}.yaml`);
      assert.ok(test, `${file} is not in health_test.yaml`);
      assert.deepEqual(await healthOf(policy), test.healthStatus);
      seen.add(test.inputPath);
    });
  }

  async function startOperator(name: string, enforcer: "Managed" | "Disabled"): Promise<void> {
    await operator?.stop();
    operator = await installation.startOperator(name, { enforcer });
    await operator.untilReady();
    await operator.untilLeading();
  }

  async function patchStatus(kind: string, name: string, status: object, ...where: readonly string[]): Promise<void> {
    const patch = `--patch=${JSON.stringify({ status })}`;
    await installation.kubectl("patch", `${kind}/${name}`, ...where, "--subresource=status", "--type=merge", patch);
  }

  /** What the operator has told the node of the policy's present generation. */
  async function told(): Promise<NodeState> {
    const { metadata: { generation } } = await installation.policy(TIERED);
    return await untilTold(installation, operator, NODE, ({ state }) =>
      state?.generations.get(TIERED)?.generation === generation ? state : undefined);
  }

  describe("before there is an operator", () => {
    before(() => installation.apply(shop()));
    shows("Progressing: nobody has looked at it", TIERED, "progressing_new");
  });

  describe("with enforcement by the CNI", () => {
    before(async () => {
      const policies = [
        segmentPolicy("bare", BARE), segmentPolicy("audited", AUDIT), segmentPolicy("taken", BARE),
        segmentPolicy("behind", { ...BARE, suspend: true }), segmentPolicy("asserting", { assertions: ASSERTIONS }),
      ];
      await installation.apply(...policies);
      const [part] = partsOf(await installation.policy("taken"));
      await installation.apply({
        apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy",
        metadata: { name: part?.name ?? "", namespace: "taken" },
        spec: { podSelector: {}, policyTypes: ["Ingress"] },
      });
      await startOperator("argocd-cni", "Disabled");
    });
    shows("Healthy: the NetworkPolicies are written", "bare", "healthy_cni", "Applied");
    shows("Healthy with a warning: no pod is in a tier", TIERED, "healthy_warning", "Applied");
    shows("Degraded: what is asked for does not exist", "asserting", "degraded_refused", "NotImplemented");
    shows("Degraded: nobody audits", "audited", "degraded_audit", "AuditNeedsEnforcer");
    shows("Suspended: and not what is live", "behind", "suspended_behind", "Suspended");
    shows("Progressing: a name is taken", "taken", "progressing_name_taken", "NameConflict");

    it("no difference to Git, whatever the API server and the operator have added", async () => {
      const input = JSON.stringify(shop());
      const diff = await installation.plane.kubectl(["diff", "--server-side", "--filename=-"], { input });
      assert.deepEqual([diff.code, diff.stdout], [0, ""], diff.stderr);
    });
  });

  describe("with enforcers", () => {
    before(async () => {
      await installation.apply(
        ...enforcerObjects(NODE),
        { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: TIERED } },
        {
          apiVersion: "v1", kind: "Pod", metadata: { name: "db-0", namespace: TIERED, labels: { tier: "db" } },
          spec: { nodeName: NODE, containers: [{ name: "db", image: "none" }] },
        },
      );
      const up = { type: "Ready", status: "True", reason: "Up", message: "up" };
      await patchStatus("node", NODE, { conditions: [up] });
      const address = "10.1.0.1";
      const running = { phase: "Running", podIP: address, podIPs: [{ ip: address }] };
      await patchStatus("pod", "db-0", running, `--namespace=${TIERED}`);
      await startOperator("argocd-managed", "Managed");
    });
    shows("Progressing: the node has not confirmed", TIERED, "progressing_nodes", "WaitingForNodes");
    shows("Healthy: an audit without pods", "audited", "healthy_audit", "Auditing");

    describe("which have confirmed", () => {
      before(async () => report(installation, NODE, "Enforcing", await told()));
      shows("Healthy", TIERED, "healthy_enforced", "Enforced");
    });

    describe("which have confirmed a suspended one", () => {
      before(async () => {
        await installation.apply(shop({ suspend: true }));
        await report(installation, NODE, "Enforcing", await told());
      });
      shows("Suspended: and up to date", TIERED, "suspended", "Suspended");
    });

    describe("one of which cannot follow an edit", () => {
      before(async () => {
        const before = await told();
        await installation.apply(shop({ dns: "Deny" }));
        await report(installation, NODE, "Enforcing", before, SLOW);
      });
      shows("Degraded: in its words", TIERED, "degraded_node", "NodesFailing");
    });
  });

  describe("without an operator again", () => {
    before(async () => {
      await installation.until("bare", "Enforced", "True");
      await operator.stop();
      await installation.apply(segmentPolicy("bare", { ...BARE, dns: "Deny" }));
      await installation.apply({
        ...segmentPolicy("audited", AUDIT), metadata: { name: "audited", finalizers: ["example.com/keep"] },
      });
      await installation.kubectl("delete", "segpol/audited", "--wait=false");
    });
    shows("Progressing: nobody has looked at the edit", "bare", "progressing_edited", "Enforced");
    shows("Progressing: it is being deleted", "audited", "progressing_deleted", "Auditing");
  });

  describe("at the end", () => {
    it("all of the test data has been seen", () => {
      assert.deepEqual([...seen].toSorted(), healthTests().map(({ inputPath }) => inputPath).toSorted());
    });
  });

  keepsGoodConduct(() => installation);
});
