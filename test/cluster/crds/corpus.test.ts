import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";

import type { ControlPlane } from "../../lab/control-plane.ts";
import { controlPlane } from "../control-plane.ts";

const root = new URL("../../../", import.meta.url);

describe("SegmentPolicy schema", function () {
  this.timeout(120_000);
  let plane: ControlPlane;

  before(async () => {
    plane = await controlPlane();
    const crds = await plane.kubectl(["apply", "--server-side", "-k", new URL("crds", root).pathname]);
    assert.equal(crds.code, 0, crds.stderr);
    const wait = await plane.kubectl(["wait", "--for=condition=Established", "crd/segmentpolicies.tierwall.io", "--timeout=30s"]);
    assert.equal(wait.code, 0, wait.stderr);
  });

  for (const folder of ["test/corpus/valid/", "config/samples/"]) {
    for (const file of yamlFiles(folder)) {
      it(`accepts ${folder}${file.name}`, async () => {
        const { code, stderr } = await apply(file.text);
        assert.equal(code, 0, stderr);
      });
    }
  }

  for (const file of yamlFiles("test/corpus/invalid/")) {
    it(`refuses ${file.name}`, async () => {
      const expected = /^# expect: (.+)$/m.exec(file.text)?.[1];
      assert.ok(expected, "the first line says what to expect");
      const { code, stderr } = await apply(file.text);
      assert.notEqual(code, 0, "it was accepted");
      assert.ok(stderr.includes(expected), stderr);
    });
  }

  it("gives a new object a status that is not yet healthy", async () => {
    const [policy] = yamlFiles("test/corpus/valid/");
    assert.ok(policy);
    const args = ["--dry-run=server", "--output=jsonpath={.status.observedGeneration}"];
    assert.equal((await apply(policy.text, args)).stdout, "-1");
  });

  function apply(input: string, args: readonly string[] = ["--dry-run=server"]) {
    return plane.kubectl(["apply", "--server-side", "--validate=strict", ...args, "-f", "-"], { input });
  }
});

function yamlFiles(folder: string): { readonly name: string; readonly text: string }[] {
  const url = new URL(folder, root);
  const names = readdirSync(url).filter((name) => name.endsWith(".yaml")).sort();
  return names.map((name) => ({ name, text: readFileSync(new URL(name, url), "utf8") }));
}
