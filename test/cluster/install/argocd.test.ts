import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { parse } from "yaml";

import { Reader } from "../../../operator/api/reader.ts";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { controlPlane } from "../control-plane.ts";
import { argocdText, healthOf, healthTests } from "./argocd-health.ts";
import { build, type Manifest, run } from "./kustomization.ts";
import { kindOf, nameOf, objectsIn } from "./shipped-objects.ts";

const SCRIPT_KEY = "resource.customizations.health.tierwall.io_SegmentPolicy";
const OPERATOR = "kustomize/overlays/default";

describe("what is shipped for Argo CD", function () {
  this.timeout(60_000);
  let plane: ControlPlane;

  before(async () => {
    plane = await controlPlane();
  });

  describe("health.lua", () => {
    for (const { inputPath, healthStatus } of healthTests()) {
      it(`makes ${healthStatus.status} of ${inputPath}`, async () => {
        assert.deepEqual(await healthOf(parse(argocdText(inputPath))), healthStatus);
      });
    }

    it("is tested with every file of the test data", async () => {
      const files = await readdir(new URL("../../../config/argocd/testdata", import.meta.url));
      const tested = healthTests().map(({ inputPath }) => inputPath);
      assert.deepEqual(files.map((file) => `testdata/${file}`).toSorted(), tested.toSorted());
    });

    const ready = (status: string, more: object = {}) => [{ type: "Ready", status, ...more }];
    const seen = { observedGeneration: 2 };
    // What no operator of today writes. A script that ends with an error is a failed sync.
    const odd: readonly { name: string; status: unknown; spec?: object; expected: string }[] = [
      { name: "no status", status: undefined, expected: "Progressing" },
      { name: "a status that is null", status: null, expected: "Progressing" },
      { name: "no conditions", status: seen, expected: "Progressing" },
      { name: "a Ready without words", status: { ...seen, conditions: ready("True") }, expected: "Healthy" },
      { name: "a Ready that is neither", status: { ...seen, conditions: ready("Unknown") }, expected: "Progressing" },
      {
        name: "a Ready of the generation before", expected: "Progressing",
        status: { observedGeneration: 1, conditions: ready("True", { message: "so far" }) },
      },
      {
        name: "a suspended one that nobody has looked at", expected: "Progressing",
        spec: { suspend: true }, status: { observedGeneration: -1 },
      },
    ];
    for (const { name, status, spec = {}, expected } of odd) {
      it(`makes ${expected} of ${name}`, async () => {
        assert.equal((await healthOf({ metadata: { generation: 2 }, spec, status })).status, expected);
      });
    }
  });

  describe("argocd-cm.yaml", () => {
    it("holds health.lua, word for word", () => {
      const { value } = new Reader(parse(argocdText("argocd-cm.yaml"))).at("data");
      assert.deepEqual(value, { [SCRIPT_KEY]: argocdText("health.lua") });
    });

    it("as a patch leaves the other settings of Argo CD as they are", async () => {
      const folder = await mkdtemp(join(tmpdir(), "tierwall-argocd-"));
      try {
        await writeFile(join(folder, "patch.yaml"), argocdText("argocd-cm.yaml"));
        await writeFile(join(folder, "argocd-cm.yaml"), JSON.stringify({
          apiVersion: "v1", kind: "ConfigMap", metadata: { name: "argocd-cm" }, data: { url: "https://example.com" },
        }));
        const kustomization = { resources: ["argocd-cm.yaml"], patches: [{ path: "patch.yaml" }] };
        await writeFile(join(folder, "kustomization.yaml"), JSON.stringify(kustomization));
        const merged = new Reader(parse(await run(plane, ["kustomize", folder]))).at("data");
        assert.deepEqual(merged.value, { url: "https://example.com", [SCRIPT_KEY]: argocdText("health.lua") });
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  });

  describe("the Applications and their projects", () => {
    const applications = objectsIn("config/argocd/application.yaml");
    const projects = objectsIn("config/argocd/projects.yaml");

    it("are of Argo CD's kinds", () => {
      assert.deepEqual(applications.map(kindOf), Array(2).fill("argoproj.io/v1alpha1 Application"));
      assert.deepEqual(projects.map(kindOf), Array(2).fill("argoproj.io/v1alpha1 AppProject"));
    });

    it("belong together: project, repository, namespace", () => {
      for (const application of applications) {
        const spec = application.at("spec");
        const project = projects.find((each) => nameOf(each) === spec.at("project").text())?.at("spec");
        assert.ok(project, `there is no project ${spec.at("project").text()}`);
        const repositories = project.at("sourceRepos").each((each) => each.text());
        assert.ok(repositories.includes(spec.at("source").at("repoURL").text()), repositories.join(" "));
        const permitted = project.at("destinations").each((each) => each.at("namespace").text());
        const wanted = spec.at("destination").at("namespace").text();
        assert.ok(permitted.includes(wanted) || permitted.includes("*"), `${wanted} is not of ${permitted.join(" ")}`);
      }
    });

    it("apply on the server, and compare what it would store", () => {
      for (const application of applications) {
        const annotations = application.at("metadata").at("annotations");
        assert.equal(annotations.at("argocd.argoproj.io/compare-options").text(), "ServerSideDiff=true");
        const options = application.at("spec").at("syncPolicy").at("syncOptions").each((each) => each.text());
        assert.ok(options.includes("ServerSideApply=true"), options.join(" "));
        assert.equal(application.at("spec").at("ignoreDifferences").value, undefined);
      }
    });

    it("let the operator's Application write just what the operator consists of", async () => {
      const project = projects.find((each) => nameOf(each) === "tierwall")?.at("spec");
      assert.ok(project);
      const manifests = await build(plane, OPERATOR);
      const cluster = manifests.filter(({ metadata }) => metadata.namespace === undefined);
      const whitelist = project.at("clusterResourceWhitelist");
      const listed = whitelist.each((each) => `${each.at("group").text()}/${each.at("kind").text()}`);
      assert.deepEqual(listed.toSorted(), [...new Set(cluster.map(groupKindOf))].toSorted());
      const destinations = project.at("destinations").each((each) => each.at("namespace").text());
      const namespaces = new Set(manifests.flatMap(({ metadata }) => metadata.namespace ?? []));
      assert.deepEqual(destinations.toSorted(), [...namespaces].toSorted());
    });

    it("let the segments' Application write SegmentPolicies, and nothing else that has no namespace", () => {
      const project = projects.find((each) => nameOf(each) === "segments")?.at("spec");
      const kinds = [{ group: "tierwall.io", kind: "SegmentPolicy" }];
      assert.deepEqual(project?.at("clusterResourceWhitelist").value, kinds);
    });

    it("point to a folder that is there", () => {
      const [operator] = applications;
      assert.equal(operator?.at("spec").at("source").at("path").text(), OPERATOR);
    });
  });
});

function groupKindOf({ apiVersion, kind }: Manifest): string {
  return `${apiVersion.includes("/") ? apiVersion.split("/")[0] : ""}/${kind}`;
}
