import assert from "node:assert/strict";
import { waitFor } from "../../lab/wait.ts";
import type { Call } from "./audit-log.ts";
import { FaultyApiServer, type Fault } from "./faulty-api-server.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import type { ShownStatus } from "./status-contract.ts";
import { kindsOf, namespace, partsOf, SEGMENT_LABEL, segmentPolicy, type Manifest } from "./segment.ts";

/** Retries double from 50 ms: after so short a trouble they are a few seconds apart. */
const MENDED_MS = 20_000;

describe("the operator: one namespace of a segment refuses", function () {
  this.timeout(90_000);
  let installation: Installation;
  let faulty: FaultyApiServer;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    faulty = await FaultyApiServer.start(installation.plane);
    const kubeconfig = await installation.operatorKubeconfig("partial");
    await faulty.divert(kubeconfig);
    const operator = await installation.startOperatorWith("partial", kubeconfig);
    await operator.untilReady();
    await operator.untilLeading();
  });

  after(async () => {
    await installation?.stop();
    await faulty?.stop();
  });

  const placesOf = (segment: string) => ["a", "b", "c"].map((letter) => `${segment}-${letter}`);
  const refusing = (segment: string) => `${segment}-b`;

  /** The others are done, and the status says who is not, and why. */
  async function saysSo(segment: string, why: RegExp): Promise<void> {
    const wanted = ({ namespaces, conditions = [] }: ShownStatus) =>
      namespaces?.summary === "2/3" && conditions.some(({ reason }) => reason === "WriteFailed");
    const shown = await installation.untilShown(segment, "one namespace is missing", wanted);
    const { status: { conditions = [] } } = shown;
    const of = (type: string) => conditions.find((condition) => condition.type === type);
    for (const type of ["PoliciesApplied", "Ready"]) {
      assert.deepEqual([of(type)?.status, of(type)?.reason], ["False", "WriteFailed"]);
      assert.match(of(type)?.message ?? "", new RegExp(`^namespace ${refusing(segment)}: .*`));
      assert.match(of(type)?.message ?? "", why);
    }
    // It may mend itself: a tool that waits must go on waiting.
    assert.equal(of("Reconciling")?.reason, "ProgressingWithRetry");
    assert.equal(of("Stalled"), undefined);
    const names = partsOf(shown).map(({ name }) => name);
    for (const place of placesOf(segment)) {
      if (place !== refusing(segment)) await installation.untilNamed(place, names);
    }
  }

  async function mendsItself(segment: string): Promise<void> {
    const shown = await installation.until(segment, "Ready", "True", MENDED_MS);
    assert.equal(shown.status.namespaces?.summary, "3/3");
    await installation.untilNamed(refusing(segment), partsOf(shown).map(({ name }) => name));
  }

  describe("for a rule of the cluster", () => {
    const quota = (place: string, most: string): Manifest => ({
      apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "few", namespace: place },
      spec: { hard: { "count/networkpolicies.networking.k8s.io": most } },
    });
    const lift: Readonly<Record<string, () => Promise<unknown>>> = {
      quota: () => installation.apply(quota("quota-b", "10")),
      admission: () => installation.kubectl("delete", "validatingadmissionpolicybinding", "nothing-in-b"),
    };
    const impose: Readonly<Record<string, () => Promise<unknown>>> = {
      async quota() {
        await installation.apply(quota("quota-b", "1"));
        await waitFor("the quota is counted", async () => {
          const path = "jsonpath={.status.used}";
          const which = ["resourcequota/few", "--namespace=quota-b"];
          const used = await installation.kubectl("get", ...which, `--output=${path}`);
          return used.includes('"0"') || undefined;
        }, { timeoutMs: 20_000 });
      },
      async admission() {
        const metadata = { name: "nothing-in-b" };
        const apiVersion = "admissionregistration.k8s.io/v1";
        const resourceRules = [{
          apiGroups: ["networking.k8s.io"], apiVersions: ["v1"], operations: ["CREATE"], resources: ["networkpolicies"],
        }];
        const spec = {
          failurePolicy: "Fail", matchConstraints: { resourceRules },
          validations: [{ expression: "object.metadata.namespace != 'admission-b'", message: "not in b, please" }],
        };
        const binding = { policyName: metadata.name, validationActions: ["Deny"] };
        await installation.apply(
          { apiVersion, kind: "ValidatingAdmissionPolicy", metadata, spec },
          { apiVersion, kind: "ValidatingAdmissionPolicyBinding", metadata, spec: binding },
        );
        await waitFor("the admission policy bites", async () => {
          const object = {
            apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy",
            metadata: { name: "probe", namespace: "admission-b" }, spec: { podSelector: {} },
          };
          const { stderr } = await installation.plane.kubectl(
            ["create", "--dry-run=server", "--filename=-"], { input: JSON.stringify(object) },
          );
          return stderr.includes("not in b, please") || undefined;
        }, { timeoutMs: 20_000 });
      },
    };
    const cases = [
      { segment: "quota", why: /exceeded quota: few/, left: ["quarantine"] },
      { segment: "admission", why: /not in b, please/, left: [] },
    ];
    for (const { segment, why, left } of cases) {
      describe(segment, () => {
        before(async () => {
          await installation.apply(...placesOf(segment).map((place) => namespace(place, segment)));
          await impose[segment]?.();
          await installation.apply(segmentPolicy(segment));
        });

        it("does not hold up the others, and is named in the status", () => saysSo(segment, why));

        it("leaves there only a beginning of the roll-out, which cuts nobody", async () => {
          const parts = partsOf(await installation.policy(segment));
          const found = await installation.networkPolicies(refusing(segment));
          assert.deepEqual(kindsOf(parts, found.map(({ metadata }) => metadata.name)), left);
        });

        it("is tried again, and done when the rule is gone", async () => {
          await lift[segment]?.();
          await mendsItself(segment);
        });
      });
    }
  });

  describe("with an answer", () => {
    const faults: readonly (Fault & { readonly segment: string })[] = [
      { segment: "forbidden", status: 403, reason: "Forbidden", message: "no right today" },
      { segment: "conflict", status: 409, reason: "Conflict", message: "the object has been modified" },
      { segment: "too-many", status: 429, reason: "TooManyRequests", message: "slow down", retryAfterSeconds: 2 },
      { segment: "broken", status: 500, reason: "InternalError", message: "etcdserver: leader changed" },
      { segment: "away", status: 503, reason: "ServiceUnavailable", message: "apiserver is shutting down" },
    ];
    for (const { segment, ...fault } of faults) {
      describe(`${fault.status} ${fault.reason}`, () => {
        let given: readonly number[];

        before(async () => {
          await installation.apply(...placesOf(segment).map((place) => namespace(place, segment)));
          given = faulty.inject((method, path) =>
            method !== "GET" && path.includes(`/namespaces/${refusing(segment)}/networkpolicies`) ? fault : undefined);
          await installation.apply(segmentPolicy(segment));
        });

        it("does not hold up the others, and is named in the status", () =>
          saysSo(segment, new RegExp(`${fault.status} ${fault.message}`)));

        it("does not hold up other policies either", async () => {
          const other = `beside-${segment}`;
          await installation.apply(namespace(other, other), segmentPolicy(other));
          await installation.until(other, "Ready", "True");
        });

        it("is tried again, later each time, and not before the time that the server named", async () => {
          await calm(4_000);
          const gaps = given.slice(1).map((at, index) => at - (given[index] ?? 0));
          // Doubling from 50 ms gives seven tries within 6 s; the echoes of writes elsewhere bring a few more.
          assert.ok(given.length >= 2 && given.length <= 12, `${given.length} tries`);
          if (fault.retryAfterSeconds === undefined) {
            assert.ok((gaps.at(-1) ?? 0) > 4 * (gaps.at(0) ?? 0), gaps.join());
          } else {
            assert.ok(Math.min(...gaps) >= fault.retryAfterSeconds * 1_000 - 50, gaps.join());
          }
        });

        it("is done when the trouble is over", async () => {
          faulty.heal();
          await mendsItself(segment);
        });
      });
    }

  });

  it("when it is taken away: the others are cleared, and it is in the end", async () => {
    const segment = "removed";
    await installation.apply(...placesOf(segment).map((place) => namespace(place, segment)), segmentPolicy(segment));
    await installation.until(segment, "Ready", "True");
    const given = faulty.inject((method, path) =>
      method === "DELETE" && path.includes(`/namespaces/${refusing(segment)}/networkpolicies`)
        ? { status: 500, reason: "InternalError", message: "later" } : undefined);
    // They leave the segment, so that nobody but the operator takes anything away.
    await installation.kubectl("label", ...placesOf(segment).map((place) => `namespace/${place}`), `${SEGMENT_LABEL}-`);
    for (const place of [`${segment}-a`, `${segment}-c`]) await installation.untilNamed(place, []);
    await waitFor("it was tried again", async () => given.length >= 3 || undefined, { timeoutMs: 5_000 });
    // Until then it may say that of those that are left all are in place, and that others are still being cleared.
    await installation.untilShown(segment, "PoliciesApplied=False, and which namespace refuses", ({ conditions = [] }) => {
      return conditions.some(({ type, status, message }) => {
        return type === "PoliciesApplied" && status === "False" && message.startsWith(`namespace ${refusing(segment)}: `);
      });
    });
    assert.equal((await installation.networkPolicies(refusing(segment))).length, 4);
    faulty.heal();
    await installation.untilNamed(refusing(segment), [], MENDED_MS);
    await installation.until(segment, "Ready", "True");
  });

  // Those that the test arranged.
  const arranged = ({ namespace: place }: Call) => place.endsWith("-b");
  keepsGoodConduct(() => installation, arranged);
});
