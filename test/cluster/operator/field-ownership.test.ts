import assert from "node:assert/strict";
import { waitFor } from "../../lab/wait.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation, type ShownNetworkPolicy } from "./installation.ts";
import { namespace, partsOf, segmentPolicy } from "./segment.ts";

interface ManagedFields {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
  readonly fieldsV1: Readonly<Record<string, unknown>>;
}

const SOON_MS = 3_000;
const LABELS = ["app.kubernetes.io/managed-by", "tierwall.io/part", "tierwall.io/policy"];

describe("the operator: which fields it owns", function () {
  this.timeout(60_000);
  let installation: Installation;
  let names: readonly string[];
  let uid: string;

  before(async function () {
    this.timeout(120_000);
    // Without controllers: the garbage collector must not mend what the operator is to mend.
    installation = await Installation.start({});
    const operator = await installation.startOperator("fields");
    await operator.untilReady();
    await installation.apply(namespace("fields", "fields"), segmentPolicy("fields"));
    const shown = await installation.until("fields", "Ready", "True", 30_000);
    names = partsOf(shown).map(({ name }) => name);
    ({ uid } = shown.metadata);
  });

  after(() => installation?.stop());

  async function shown(name: string): Promise<ShownNetworkPolicy> {
    const found = await installation.networkPolicy("fields", name);
    assert.ok(found, `${name} is not there`);
    return found;
  }

  async function managedFields(kind: string, name: string): Promise<readonly ManagedFields[]> {
    const text = await installation.kubectl(
      "get", kind, name, "--namespace=fields", "--show-managed-fields", "--output=jsonpath={.metadata.managedFields}");
    return JSON.parse(text) as readonly ManagedFields[];
  }

  async function assertMinimal(name: string): Promise<void> {
    for (const { manager, subresource, fieldsV1 } of await managedFields("netpol", name)) {
      assert.deepEqual([manager, subresource], ["tierwall", undefined]);
      const tier = (await shown(name)).metadata.labels?.["tierwall.io/part"] === "tier" ? ["tierwall.io/tier"] : [];
      const labels = Object.fromEntries([...LABELS, ...tier].map((key) => [`f:${key}`, {}]));
      const { "f:metadata": metadata, "f:spec": spec, ...rest } = fieldsV1;
      assert.deepEqual(rest, {});
      const { "f:labels": owned, "f:ownerReferences": references, ...others } = metadata as Record<string, object>;
      assert.deepEqual(others, {});
      const { ".": _, ...ownedLabels } = owned as Record<string, unknown>;
      assert.deepEqual(ownedLabels, labels);
      assert.deepEqual(Object.keys(references ?? {}).filter((key) => key !== "."), [`k:{"uid":"${uid}"}`]);
      const fields = ["f:egress", "f:ingress", "f:podSelector", "f:policyTypes"];
      assert.ok(Object.keys(spec as object).every((key) => fields.includes(key)), JSON.stringify(spec));
    }
  }

  it("are its labels, its owner reference and the spec, of a NetworkPolicy that it created", async () => {
    for (const name of names) await assertMinimal(name);
  });

  it("are the same after an edit", async () => {
    await installation.apply(segmentPolicy("fields", { dns: "Deny" }));
    await installation.until("fields", "Ready", "True");
    for (const name of names) await assertMinimal(name);
  });

  it("are nothing but the status, of a SegmentPolicy", async () => {
    const fields = await managedFields("segpol", "fields");
    const own = fields.filter(({ manager }) => manager.startsWith("tierwall"));
    assert.deepEqual(own.map(({ manager, subresource }) => [manager, subresource]), [["tierwall/status", "status"]]);
    assert.deepEqual(own.flatMap(({ fieldsV1 }) => Object.keys(fieldsV1)), ["f:status"]);
  });

  it("leave what others add beside them", async () => {
    const [name = ""] = names;
    await installation.kubectl("label", `netpol/${name}`, "--namespace=fields", "example.com/theirs=1");
    await installation.kubectl("annotate", `netpol/${name}`, "--namespace=fields", "example.com/note=hello");
    await installation.apply(segmentPolicy("fields"));
    await installation.until("fields", "Ready", "True");
    await calm(500);
    const { metadata: { labels } } = await shown(name);
    assert.equal(labels?.["example.com/theirs"], "1");
  });

  const owners: readonly { readonly name: string; readonly references: (own: object) => readonly object[] }[] = [
    { name: "taken away", references: () => [] },
    // As after a restore from a backup: the SegmentPolicy has a new uid.
    { name: "with another uid", references: (own) => [{ ...own, uid: "00000000-0000-4000-8000-000000000000" }] },
    { name: "that is no controller any more", references: (own) => [{ ...own, controller: false }] },
  ];
  for (const { name: how, references } of owners) {
    it(`put back an owner reference ${how}`, async () => {
      for (const name of names) {
        const [own = {}] = (await shown(name)).metadata.ownerReferences ?? [];
        const metadata = { ownerReferences: references(own as object) };
        const change = `--patch=${JSON.stringify({ metadata })}`;
        await installation.kubectl("patch", "netpol", name, "--namespace=fields", "--type=merge", change);
        await waitFor(`${name} has its owner`, async () => {
          const found = (await shown(name)).metadata.ownerReferences ?? [];
          if (found.length === 1 && JSON.stringify(found[0]) === JSON.stringify(own)) return true;
          throw new Error(JSON.stringify(found));
        }, { timeoutMs: SOON_MS });
      }
      await installation.until("fields", "Ready", "True");
    });
  }

  keepsGoodConduct(() => installation);
});
