import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { parseAllDocuments } from "yaml";

import type { ControlPlane } from "../../lab/control-plane.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const SYSTEM = "tierwall-system";

/** An object as a kustomization gives it; only what tests look at is named. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** Folders of all kustomizations, from the project's root. */
export function kustomizations(): readonly string[] {
  return filesNamed("kustomization.yaml").map((file) => dirname(file));
}

/** Files of this name among what is shipped, from the project's root. */
export function filesNamed(name: string): readonly string[] {
  const folders = ["crds", "kustomize", "config"];
  return folders.flatMap((folder) => globSync(`${folder}/**/${name}`, { cwd: ROOT })).toSorted();
}

/** A file of the project. */
export function textOf(file: string): string {
  return readFileSync(join(ROOT, file), "utf8");
}

/** What `kubectl kustomize` makes of a folder. @throws with kubectl's words */
export async function build(plane: ControlPlane, folder: string): Promise<readonly Manifest[]> {
  const documents = parseAllDocuments(await run(plane, ["kustomize", join(ROOT, folder)]));
  return documents.map((document) => document.toJS() as Manifest);
}

/** As users install: server-side, and with every unknown field refused. @throws with kubectl's words */
export async function apply(plane: ControlPlane, folder: string): Promise<void> {
  await run(plane, ["apply", "--server-side", "--validate=strict", "-k", join(ROOT, folder)]);
}

/** Applies the base and waits until its resources are served. */
export async function install(plane: ControlPlane): Promise<void> {
  await apply(plane, "kustomize/base");
  await untilServed(plane);
}

/** Waits until the API server serves our kinds. */
export async function untilServed(plane: ControlPlane): Promise<void> {
  const crds = ["crd/segmentpolicies.tierwall.io", "crd/segmentnodes.tierwall.io"];
  await run(plane, ["wait", "--for=condition=Established", "--timeout=30s", ...crds]);
}

/** Takes the admission policies out of force: other tests share the API server, and write what these refuse. */
export async function withdraw(plane: ControlPlane): Promise<void> {
  await run(plane, ["delete", "validatingadmissionpolicybindings", "--all"]);
}

/** Runs kubectl as the administrator. @returns its output @throws with its words */
export async function run(plane: ControlPlane, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await plane.kubectl(args, input === undefined ? {} : { input });
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: exit code ${code}: ${stderr.trim()}`);
  return stdout;
}
