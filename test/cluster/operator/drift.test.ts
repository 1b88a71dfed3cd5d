import assert from "node:assert/strict";
import { canonicalJson } from "../../../operator/api/canonical-json.ts";
import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import { generatedFrom } from "../../../operator/api/network-policy.ts";
import type { PartKind } from "../../../operator/compile/part.ts";
import { waitFor } from "../../lab/wait.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation, type ShownNetworkPolicy } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { namespace, partsOf, segmentPolicy } from "./segment.ts";

/** "Within a second or so", on a machine that is busy with other tests. */
const SOON_MS = 3_000;
const CORRECTIONS = "tierwall_drift_corrections_total";

describe("the operator: what others change is put back", function () {
  this.timeout(60_000);
  let installation: Installation;
  let operator: OperatorProcess;
  /** By part. */
  let names: ReadonlyMap<PartKind, string>;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    operator = await installation.startOperator("drift");
    await operator.untilReady();
    await installation.apply(namespace("walled", "walled"), segmentPolicy("walled"));
    const parts = partsOf(await installation.until("walled", "Ready", "True", 30_000));
    names = new Map(parts.map(({ kind, name }) => [kind, name]));
  });

  after(() => installation?.stop());

  async function shown(name: string): Promise<ShownNetworkPolicy> {
    const found = await installation.networkPolicy("walled", name);
    assert.ok(found, `${name} is not there`);
    return found;
  }

  /** What matters of it, whoever wrote it, and whether it is taken for ours. */
  function essence(shownPolicy: ShownNetworkPolicy): string {
    const policy = readNetworkPolicy(shownPolicy);
    const { metadata, spec } = policy;
    const from = generatedFrom(policy) ?? "";
    return canonicalJson({ spec, labels: metadata.labels, owners: metadata.ownerReferences, from });
  }

  async function putBack(name: string, wanted: string): Promise<void> {
    const look = async () => essence(await shown(name)) === wanted || undefined;
    await waitFor(`NetworkPolicy ${name} is put back`, look, { timeoutMs: SOON_MS, everyMs: 20 });
  }

  function patch(name: string, change: object): Promise<string> {
    const content = `--patch=${JSON.stringify(change)}`;
    return installation.kubectl("patch", "netpol", name, "--namespace=walled", "--type=merge", content);
  }

  function label(name: string, key: string, value: string | null): Promise<string> {
    return patch(name, { metadata: { labels: { [key]: value } } });
  }

  const edits: readonly { readonly name: string; readonly change: (name: string) => Promise<unknown> }[] = [
    {
      name: "an update that opens both directions",
      change: (name) => installation.apply({
        apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name, namespace: "walled" },
        spec: { ingress: [{}], egress: [{}] },
      }),
    },
    { name: "a patch that opens egress", change: (name) => patch(name, { spec: { egress: [{}] } }) },
    { name: "a policy type taken away", change: (name) => patch(name, { spec: { policyTypes: ["Egress"] } }) },
    { name: "a delete", change: (name) => installation.kubectl("delete", "netpol", name, "--namespace=walled") },
    { name: "the policy's label taken away", change: (name) => label(name, "tierwall.io/policy", null) },
    {
      name: "its field managers wiped",
      change: (name) => {
        const wipe = [{ op: "replace", path: "/metadata/managedFields", value: [{}] }];
        const which = ["netpol", name, "--namespace=walled"];
        return installation.kubectl("patch", ...which, "--type=json", `--patch=${JSON.stringify(wipe)}`);
      },
    },
    { name: "the part's label edited", change: (name) => label(name, "tierwall.io/part", "other") },
  ];
  for (const kind of ["quarantine", "tier", "default"] as const) {
    for (const { name: edit, change } of edits) {
      it(`puts the ${kind} part back after ${edit}`, async () => {
        const name = names.get(kind) ?? "";
        const before = await shown(name);
        const count = await operator.metric(CORRECTIONS);
        await change(name);
        const after = await installation.networkPolicy("walled", name);
        assert.notEqual(after?.metadata.resourceVersion, before.metadata.resourceVersion, "nothing has happened yet");
        await putBack(name, essence(before));
        assert.ok(await operator.metric(CORRECTIONS) > count, "it was not counted");
      });
    }
  }

  it("tells of it in Events", async () => {
    for (const name of names.values()) {
      const look = async () => {
        const events = await installation.events("walled");
        const told = events.filter(({ reason, type }) => reason === "DriftCorrected" && type === "Warning");
        return told.some(({ note }) => note.includes(name)) || undefined;
      };
      await waitFor(`an Event that names ${name}`, look, { timeoutMs: SOON_MS });
    }
  });

  it("is ready all the same, and has stopped writing", async () => {
    await installation.until("walled", "Ready", "True");
    await calm();
    const mark = await installation.audit.mark();
    await calm();
    assert.deepEqual(await installation.audit.segmentWrites(mark), []);
  });

  it("does not call a user's edit of the SegmentPolicy drift", async () => {
    const count = await operator.metric(CORRECTIONS);
    await installation.apply(segmentPolicy("walled", { defaultDeny: "TierPods" }));
    await installation.until("walled", "Ready", "True");
    assert.equal(await operator.metric(CORRECTIONS), count);
  });

  it("leaves what a stranger adds beside it", async () => {
    const spec = { podSelector: {}, policyTypes: ["Ingress"] };
    const metadata = { name: "of-the-team", namespace: "walled" };
    await installation.apply({ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata, spec });
    const before = await shown("of-the-team");
    await calm();
    assert.equal((await shown("of-the-team")).metadata.resourceVersion, before.metadata.resourceVersion);
  });

  keepsGoodConduct(() => installation);
});
