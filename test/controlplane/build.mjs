// Builds the real Kubernetes (main.go) once and keeps it in the cache, one symbolic link per component.
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { cacheRoot, cached, contentKey, projectRoot } from "./cache.mjs";
import { runLong } from "./run-long.mjs";

export const components = [
  "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl",
];

const version = "v1.36.3";
const stamp = "k8s.io/component-base/version";
const ldflags = `-s -w -X ${stamp}.gitVersion=${version} -X ${stamp}.gitMajor=1 -X ${stamp}.gitMinor=36 `
  + `-X ${stamp}.gitTreeState=clean`;
const module = "test/controlplane";
const key = () => contentKey([`${module}/go.mod`, `${module}/go.sum`, `${module}/main.go`, `text:${ldflags}`]);

/** Folder of the built components; it need not exist yet. */
export function controlPlaneDirectory() {
  return join(cacheRoot, `controlplane-${key()}`);
}

/** Path of one component: from `KUBEBUILDER_ASSETS` if it is there, else the one built here. */
export function componentPath(name) {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets && existsSync(join(assets, name))) return join(assets, name);
  return join(controlPlaneDirectory(), name);
}

/** Whether every component is there already. */
export function controlPlaneIsBuilt() {
  return components.every((name) => existsSync(componentPath(name)));
}

/** Builds what is missing. */
export async function buildControlPlane() {
  if (controlPlaneIsBuilt()) return;
  await cached("controlplane", key(), async (directory) => {
    await runLong(
      `building Kubernetes ${version.slice(1)} from source, about 5 minutes on 2 cores, once; cached in ${cacheRoot}`,
      "go", ["build", "-trimpath", "-ldflags", ldflags, "-o", join(directory, "controlplane"), "."],
      { cwd: join(projectRoot, module), env: { ...process.env, CGO_ENABLED: "0" } },
    );
    for (const name of components) symlinkSync("controlplane", join(directory, name));
  });
}
