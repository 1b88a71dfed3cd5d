import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

import type { ControlPlane } from "../../lab/control-plane.ts";
import { waitFor } from "../../lab/wait.ts";
import { controlPlane } from "../control-plane.ts";

const root = new URL("../../../", import.meta.url);

/** The ways of `kubectl apply`. Only strict validation knows of fields that are not in the schema. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  "on the client's side": ["apply", "--validate=strict"],
  "on the server's side": ["apply", "--server-side", "--validate=strict"],
  "without validation by kubectl": ["apply", "--server-side", "--validate=ignore"],
};

describe("SegmentPolicy schema", function () {
  this.timeout(120_000);
  let plane: ControlPlane;

  before(async () => {
    plane = await controlPlane();
    const crds = await plane.kubectl(["apply", "--server-side", "-k", new URL("crds", root).pathname]);
    assert.equal(crds.code, 0, crds.stderr);
    // `kubectl wait` itself fails on an object that has no conditions yet.
    await waitFor("the schema is served", async () => {
      const { code, stderr } = await plane.kubectl(["get", "segmentpolicies"]);
      if (code === 0) return true;
      throw new Error(stderr);
    }, { timeoutMs: 30_000 });
  });

  for (const [way, args] of Object.entries(WAYS)) {
    describe(way, () => {
      for (const folder of ["test/corpus/valid/", "config/samples/", "config/samples/recipes/"]) {
        for (const file of yamlFiles(folder)) {
          it(`accepts ${folder}${file.name}`, async () => {
            const { code, stderr } = await apply(args, file.text);
            assert.equal(code, 0, stderr);
          });
        }
      }

      for (const file of yamlFiles("test/corpus/invalid/")) {
        const expected = expectationsOf(file.text);
        const ofSchema = expected.some((text) => text.includes("unknown field"));
        // Without the field that the schema does not know, such a file makes sense.
        if (ofSchema && !expected.includes("expected list") && args.includes("--validate=ignore")) continue;
        it(`refuses ${file.name}`, async () => {
          assert.notEqual(expected.length, 0, "the first line says what to expect");
          const { code, stderr } = await apply(args, file.text);
          assert.notEqual(code, 0, "it was accepted");
          assert.ok(expected.some((text) => stderr.includes(text)), stderr);
          assert.match(stderr, /spec\b|the name is too long/, "no place");
        });
      }
    });
  }

  it("gives a new object a status that is not yet healthy", async () => {
    const [policy] = yamlFiles("test/corpus/valid/");
    assert.ok(policy);
    const args = ["apply", "--server-side", "--output=jsonpath={.status.observedGeneration}"];
    assert.equal((await apply(args, policy.text)).stdout, "-1");
  });

  function apply(args: readonly string[], input: string) {
    return plane.kubectl([...args, "--dry-run=server", "-f", "-"], { input });
  }
});

/** What the answer has to contain; the two sides may have different words, parted by a bar. */
function expectationsOf(text: string): readonly string[] {
  return /^# expect: (.+)$/m.exec(text)?.[1]?.split(" | ") ?? [];
}

function yamlFiles(folder: string): { readonly name: string; readonly text: string }[] {
  const url = new URL(folder, root);
  const names = readdirSync(url).filter((name) => name.endsWith(".yaml")).sort();
  return names.map((name) => ({ name, text: readFileSync(new URL(name, url), "utf8") }));
}
