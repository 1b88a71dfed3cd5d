import assert from "node:assert/strict";
import type { Labels } from "../../../operator/api/meta.ts";
import { partLabels } from "../../../operator/compile/plan.ts";
import type { Part } from "../../../operator/compile/part.ts";
import { waitFor } from "../../lab/wait.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { calm, Installation } from "./installation.ts";
import { namespace, partsOf, segmentPolicy, type Manifest } from "./segment.ts";

describe("the operator: a stranger has the name of a generated NetworkPolicy", function () {
  this.timeout(60_000);
  let installation: Installation;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    const operator = await installation.startOperator("conflict");
    await operator.untilReady();
    await operator.untilLeading();
  });

  after(() => installation?.stop());

  /** The parts of a segment that is not there yet. */
  async function foreseen(name: string): Promise<readonly Part[]> {
    const { stdout } = await installation.plane.kubectl(
      ["create", "--dry-run=server", "--output=json", "--filename=-"], { input: JSON.stringify(segmentPolicy(name)) },
    );
    return partsOf(JSON.parse(stdout));
  }

  const strangers: readonly {
    readonly name: string; readonly segment: string; readonly manifest: (part: Part, segment: string) => Manifest;
  }[] = [
    {
      name: "with a content of its own", segment: "taken-other",
      manifest: (part, segment) => networkPolicy(segment, part.name, {}, { podSelector: {}, policyTypes: ["Ingress"] }),
    },
    {
      name: "with the very same content", segment: "taken-same",
      manifest: (part, segment) => networkPolicy(segment, part.name, partLabels(part, { name: segment }), part.spec),
    },
  ];
  for (const { name, segment, manifest } of strangers) {
    describe(name, () => {
      let parts: readonly Part[];
      let stranger: string;

      before(async () => {
        parts = await foreseen(segment);
        const part = parts.find(({ kind }) => kind === "tier");
        assert.ok(part);
        stranger = part.name;
        await installation.apply(namespace(segment, segment));
        await installation.apply(manifest(part, segment));
      });

      it("is not touched", async () => {
        const before = await installation.networkPolicy(segment, stranger);
        await installation.apply(segmentPolicy(segment));
        await installation.until(segment, "PoliciesApplied", "False");
        await calm();
        assert.deepEqual(await installation.networkPolicy(segment, stranger), before);
      });

      it("is named in the status, and the rest is in place", async () => {
        const { status: { conditions = [] } } = await installation.policy(segment);
        const of = (type: string) => conditions.find((condition) => condition.type === type);
        assert.equal(of("PoliciesApplied")?.reason, "NameConflict");
        assert.equal(of("Ready")?.status, "False");
        assert.equal(of("Warnings")?.reason, "NameConflict");
        for (const type of ["PoliciesApplied", "Ready", "Warnings"]) {
          assert.match(of(type)?.message ?? "", new RegExp(`${segment}/${stranger}`));
        }
        await installation.untilNamed(segment, parts.map((part) => part.name));
      });

      it("is named in an Event", async () => {
        await waitFor("an Event NameConflict", async () => {
          const events = await installation.events(segment);
          return events.some(({ reason, note }) => reason === "NameConflict" && note.includes(stranger)) || undefined;
        }, { timeoutMs: 3_000 });
      });

      it("goes away, and the operator takes the name by itself", async () => {
        await installation.kubectl("delete", "netpol", stranger, `--namespace=${segment}`);
        await installation.until(segment, "Ready", "True", 5_000);
        await installation.untilNamed(segment, parts.map((part) => part.name));
        const { status: { conditions = [] } } = await installation.policy(segment);
        assert.ok(conditions.every(({ reason }) => reason !== "NameConflict"), JSON.stringify(conditions));
      });
    });
  }

  keepsGoodConduct(() => installation);
});

function networkPolicy(place: string, name: string, labels: Labels, spec: object): Manifest {
  const metadata = { name, namespace: place, labels };
  return { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata, spec };
}
