import type { Call } from "./call.ts";
import type { Manifest } from "./kustomization.ts";

/** One verb on one resource that a ServiceAccount is given. */
export interface Grant {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** Empty = everywhere. */
  readonly namespace: string;
  /** Empty = whatever its name. */
  readonly name: string;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Binding extends Manifest {
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects: readonly { readonly kind: string; readonly name: string }[];
}

/** Everything that the manifests give to a ServiceAccount, taken apart. */
export function grantsTo(account: string, manifests: readonly Manifest[]): readonly Grant[] {
  const isTheirs = ({ subjects }: Binding) => subjects.some(({ name }) => name === account);
  return manifests.filter(isBinding).filter(isTheirs).flatMap((binding) => {
    const { namespace = "" } = binding.metadata;
    const role = manifests.find(({ kind, metadata }) => (
      kind === binding.roleRef.kind && metadata.name === binding.roleRef.name
      && (kind === "ClusterRole" || metadata.namespace === namespace)
    ));
    if (role === undefined) throw new Error(`${binding.kind} ${binding.metadata.name} binds what is not there`);
    const { rules } = role as Manifest & { readonly rules: readonly Rule[] };
    return rules.flatMap((rule) => grantsOf(rule, namespace));
  });
}

/** Whether the call is made possible by this grant. */
export function serves(grant: Grant, call: Call): boolean {
  return grant.verb === call.verb && grant.group === call.group && grant.resource === call.resource
    && (grant.namespace === "" || grant.namespace === call.namespace)
    && (grant.name === "" || grant.name === call.name);
}

function grantsOf({ apiGroups, resources, resourceNames = [""], verbs }: Rule, namespace: string): readonly Grant[] {
  return apiGroups.flatMap((group) => resources.flatMap((resource) => resourceNames.flatMap((name) => (
    verbs.map((verb) => ({ verb, group, resource, namespace, name }))
  ))));
}

function isBinding(manifest: Manifest): manifest is Binding {
  return manifest.kind === "RoleBinding" || manifest.kind === "ClusterRoleBinding";
}
