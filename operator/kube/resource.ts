/** One kind of object, as the API server's paths name it. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface ObjectName {
  /** Only of namespaced kinds. */
  readonly namespace?: string;
  readonly name: string;
}

export const NETWORK_POLICIES = namespaced("networking.k8s.io", "v1", "networkpolicies");
export const NAMESPACES = clusterScoped("", "v1", "namespaces");
export const PODS = namespaced("", "v1", "pods");
export const NODES = clusterScoped("", "v1", "nodes");
export const SEGMENT_POLICIES = clusterScoped("tierwall.io", "v1alpha1", "segmentpolicies");
export const SEGMENT_NODES = clusterScoped("tierwall.io", "v1alpha1", "segmentnodes");
export const DAEMON_SETS = namespaced("apps", "v1", "daemonsets");
export const DEPLOYMENTS = namespaced("apps", "v1", "deployments");
export const LEASES = namespaced("coordination.k8s.io", "v1", "leases");
export const EVENTS = namespaced("events.k8s.io", "v1", "events");
export const CONFIG_MAPS = namespaced("", "v1", "configmaps");
export const SECRETS = namespaced("", "v1", "secrets");
export const SERVICES = namespaced("", "v1", "services");
export const ENDPOINT_SLICES = namespaced("discovery.k8s.io", "v1", "endpointslices");
export const TOKEN_REVIEWS = clusterScoped("authentication.k8s.io", "v1", "tokenreviews");

/** Path of all objects of a kind; without `namespace`, of all namespaces. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const { group, version, plural } = resource;
  if (namespace !== undefined && !resource.namespaced) throw new TypeError(`${plural} have no namespace`);
  const root = group === "" ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${plural}`;
}

export function objectPath(resource: Resource, { namespace, name }: ObjectName, subresource?: "status"): string {
  if (resource.namespaced && !namespace) throw new TypeError(`${resource.plural} need a namespace`);
  const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

function namespaced(group: string, version: string, plural: string): Resource {
  return { group, version, plural, namespaced: true };
}

function clusterScoped(group: string, version: string, plural: string): Resource {
  return { group, version, plural, namespaced: false };
}
