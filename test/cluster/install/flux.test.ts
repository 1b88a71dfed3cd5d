import assert from "node:assert/strict";

import type { Reader } from "../../../operator/api/reader.ts";
import { kindOf, nameOf, objectsIn } from "./shipped-objects.ts";

describe("what is shipped for Flux", () => {
  const operator = objectsIn("config/flux/tierwall.yaml");
  const segments = objectsIn("config/flux/segments.yaml");
  const specOf = (objects: readonly Reader[], kind: string) => {
    const found = objects.find((each) => each.at("kind").text() === kind);
    assert.ok(found, `no ${kind}`);
    return found.at("spec");
  };

  it("is of Flux's kinds, in its namespace", () => {
    const kinds = ["source.toolkit.fluxcd.io/v1 GitRepository", "kustomize.toolkit.fluxcd.io/v1 Kustomization"];
    assert.deepEqual([operator.map(kindOf), segments.map(kindOf)], [kinds, kinds]);
    const namespaces = [...operator, ...segments].map((each) => each.at("metadata").at("namespace").text());
    assert.deepEqual(new Set(namespaces), new Set(["flux-system"]));
  });

  it("waits for what it applies, from a repository that it defines", () => {
    for (const objects of [operator, segments]) {
      const spec = specOf(objects, "Kustomization");
      assert.equal(spec.at("wait").value, true);
      const source = spec.at("sourceRef");
      const named = objects.map((each) => `${each.at("kind").text()}/${nameOf(each)}`);
      assert.ok(named.includes(`${source.at("kind").text()}/${source.at("name").text()}`), named.join(" "));
    }
  });

  it("applies the segments after the operator, and never takes the operator away", () => {
    const after = specOf(segments, "Kustomization").at("dependsOn").each((each) => each.at("name").text());
    assert.deepEqual(after, operator.filter((each) => each.at("kind").text() === "Kustomization").map(nameOf));
    assert.equal(specOf(operator, "Kustomization").at("prune").value, false);
    assert.equal(specOf(operator, "Kustomization").at("path").text(), "./kustomize/overlays/default");
  });
});
