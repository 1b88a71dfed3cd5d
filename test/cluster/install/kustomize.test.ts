import assert from "node:assert/strict";

import { parse } from "yaml";

import { Reader } from "../../../operator/api/reader.ts";
import { DEFAULT_SETTINGS, readSettings, type Settings } from "../../../operator/api/settings.ts";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { controlPlane } from "../control-plane.ts";
import {
  apply, build, filesNamed, install, kustomizations, type Manifest, run, SYSTEM, textOf, withdraw,
} from "./kustomization.ts";

const NAMESPACES = new Set([SYSTEM, "kube-system", "default"]);
const CLUSTER_SCOPED = /^(Namespace|CustomResourceDefinition|(ClusterRole|ValidatingAdmissionPolicy)(Binding)?)$/;
/** Those that bring an operator with them. */
const INSTALLATIONS = kustomizations().filter((folder) => folder.startsWith("kustomize/"));

describe("the kustomizations", function () {
  this.timeout(60_000);
  let plane: ControlPlane;

  before(async () => {
    plane = await controlPlane();
  });
  after(() => withdraw(plane));

  it("are all found", () => {
    const shipped = ["crds", "kustomize/base", "kustomize/overlays/default", "kustomize/overlays/dev"];
    assert.deepEqual(shipped.filter((folder) => !kustomizations().includes(folder)), []);
  });

  for (const folder of kustomizations()) {
    describe(folder, () => {
      it("is taken by the API server as it stands, and a second time", async () => {
        await apply(plane, folder);
        await apply(plane, folder);
      });

      it("names no namespace but its own, kube-system and default", async () => {
        for (const manifest of await build(plane, folder)) {
          const others = namespacesIn(manifest).filter((name) => !NAMESPACES.has(name));
          assert.deepEqual(others, [], `${manifest.kind} ${manifest.metadata.name}`);
        }
      });

      it("leaves no object to the namespace that kubectl happens to be in", async () => {
        for (const { kind, metadata } of await build(plane, folder)) {
          assert.equal(metadata.namespace === undefined, CLUSTER_SCOPED.test(kind), `${kind} ${metadata.name}`);
        }
      });
    });
  }

  for (const folder of INSTALLATIONS) {
    it(`${folder} gives the operator settings that it can read, and opens the ports they name`, async () => {
      const manifests = await build(plane, folder);
      const deployment = new Reader(one(manifests, "Deployment")).at("spec").at("template").at("spec");
      const mounted = deployment.at("volumes").list()[0]?.at("configMap").at("name").text();
      const { metadata, data } = one(manifests, "ConfigMap");
      assert.equal(mounted, metadata.name);
      const { stream, probes, metrics } = settingsIn(new Reader(data).at("operator.yaml").text()).ports;
      const ports = deployment.at("containers").list()[0]?.at("ports").each((port) => (
        [port.at("name").text(), port.at("containerPort").integer()]
      ));
      assert.deepEqual(Object.fromEntries(ports ?? []), { stream, probes, metrics });
      const exposed = new Reader(one(manifests, "Service")).at("spec").at("ports");
      const service = exposed.each((port) => port.at("port").integer());
      // Enforcers dial the Service at the port of the settings.
      assert.ok(service.includes(stream), `the Service has ${service.join(", ")}`);
    });
  }

  it("can be applied again once the cluster has put the aggregated roles together", async () => {
    await apply(plane, "kustomize/base");
    const roles = (await build(plane, "kustomize/base")).filter((manifest) => "aggregationRule" in manifest);
    assert.ok(roles.length > 0);
    const rules = [{ apiGroups: ["tierwall.io"], resources: ["segmentpolicies"], verbs: ["get"] }];
    for (const role of roles) {
      // What kube-controller-manager does, which does not run here.
      const filled = JSON.stringify({ apiVersion: role.apiVersion, kind: role.kind, metadata: role.metadata, rules });
      const manager = "--field-manager=clusterrole-aggregation-controller";
      await run(plane, ["apply", "--server-side", "--force-conflicts", manager, "-f", "-"], filled);
    }
    await apply(plane, "kustomize/base");
    const left = await run(plane, ["get", "clusterrole", "tierwall-editor", "-o=jsonpath={.rules}"]);
    assert.match(left, /segmentpolicies/);
  });
});

describe("the settings files", () => {
  for (const file of filesNamed("operator.yaml")) {
    it(`${file} can be read`, () => void settingsIn(textOf(file)));
  }

  it("show the defaults", () => assert.deepEqual(settingsIn(textOf("config/operator.yaml")), DEFAULT_SETTINGS));

  it("are the same in the base as among the examples", () => {
    assert.equal(textOf("kustomize/base/operator.yaml"), textOf("config/operator.yaml"));
  });

  it("of the overlay for development differ only in who enforces", () => {
    const development = settingsIn(textOf("kustomize/overlays/dev/operator.yaml"));
    assert.deepEqual(development, { ...DEFAULT_SETTINGS, enforcer: "Managed" });
  });
});

describe("the samples", function () {
  this.timeout(60_000);
  let plane: ControlPlane;

  before(async () => {
    plane = await controlPlane();
    await install(plane);
  });
  after(() => withdraw(plane));

  const samples = filesNamed("*.yaml").filter((file) => file.startsWith("config/samples/"));

  it("are there", () => assert.ok(samples.includes("config/samples/shop.yaml"), samples.join(" ")));

  for (const file of samples) {
    it(`${file} is taken by the API server as it stands`, async () => {
      const text = textOf(file);
      await run(plane, ["apply", "--server-side", "--validate=strict", "-f", "-"], text);
      await run(plane, ["delete", "-f", "-"], text);
    });
  }
});

function settingsIn(text: string): Settings {
  return readSettings(new Reader(parse(text)));
}

function one(manifests: readonly Manifest[], kind: string): Manifest {
  const [found, ...others] = manifests.filter((manifest) => manifest.kind === kind);
  if (found === undefined || others.length > 0) throw new Error(`not exactly one ${kind}`);
  return found;
}

/** Named in metadata, in a binding's subjects, as a Namespace, or in a user name that CEL compares. */
function namespacesIn(manifest: Manifest): readonly string[] {
  if (manifest.kind === "CustomResourceDefinition") return [];
  const users = JSON.stringify(manifest).matchAll(/system:serviceaccount:([a-z0-9-]+):/g);
  const own = manifest.kind === "Namespace" ? [manifest.metadata.name] : [];
  return [...own, ...users.map(([, name = ""]) => name), ...valuesOf(manifest, "namespace")];
}

/** Texts under `key`, at any depth. */
function valuesOf(value: unknown, key: string): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => (
    name === key && typeof member === "string" ? [member] : valuesOf(member, key)
  ));
}
