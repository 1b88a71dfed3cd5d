/** Every kind of call that a process makes; `shop` stands for any namespace. */
export const MADE: Readonly<Record<string, readonly string[]>> = {
  "tierwall-operator": [
    // What it follows.
    ...[
      "segmentpolicies.tierwall.io", "segmentnodes.tierwall.io", "networkpolicies.networking.k8s.io", "namespaces",
      "pods", "nodes", "daemonsets.apps",
    ].flatMap((kind) => [`list ${kind}`, `watch ${kind}`]),
    "list services kube-system/kube-dns", "watch services kube-system/kube-dns",
    "list endpointslices.discovery.k8s.io default/kubernetes",
    "watch endpointslices.discovery.k8s.io default/kubernetes",
    // What it makes of SegmentPolicies.
    "create networkpolicies.networking.k8s.io shop/", "patch networkpolicies.networking.k8s.io shop/shop-db-1f0c9a2e",
    "delete networkpolicies.networking.k8s.io shop/shop-db-1f0c9a2e", "patch segmentpolicies.tierwall.io/status shop",
    "create events.events.k8s.io default/",
    // The enforcers. Server-side apply of what is not there asks for both verbs, with the name.
    "create segmentnodes.tierwall.io", "create daemonsets.apps tierwall-system/tierwall-enforcer",
    "patch daemonsets.apps tierwall-system/tierwall-enforcer",
    "delete daemonsets.apps tierwall-system/tierwall-enforcer",
    "get deployments.apps tierwall-system/tierwall-operator", "get services tierwall-system/tierwall-operator",
    "create events.events.k8s.io tierwall-system/",
    // The stream.
    "create tokenreviews.authentication.k8s.io",
    ...["secrets", "configmaps"].flatMap((kind) => [
      `get ${kind} tierwall-system/tierwall-ca`, `create ${kind} tierwall-system/`,
      `update ${kind} tierwall-system/tierwall-ca`,
    ]),
    // Leader election.
    "get leases.coordination.k8s.io tierwall-system/tierwall-operator",
    "create leases.coordination.k8s.io tierwall-system/",
    "update leases.coordination.k8s.io tierwall-system/tierwall-operator",
  ],
  "tierwall-enforcer": ["patch segmentnodes.tierwall.io/status node-a"],
};

/** What an attacker would want of a process that he has taken over. */
export const REFUSED: Readonly<Record<string, readonly string[]>> = {
  "tierwall-operator": [
    // Other people's secrets.
    "get secrets shop/password", "list secrets", "list secrets tierwall-system/", "watch secrets tierwall-system/",
    "get secrets tierwall-system/other", "update secrets tierwall-system/other", "create secrets shop/",
    "delete secrets tierwall-system/tierwall-ca", "get configmaps kube-system/kubeadm-config",
    "update configmaps tierwall-system/other", "list configmaps tierwall-system/",
    "create serviceaccounts/token tierwall-system/tierwall-enforcer",
    "create serviceaccounts/token kube-system/default",
    // Running something.
    "create pods shop/", "create pods tierwall-system/", "create pods/exec tierwall-system/tierwall-enforcer-x",
    "get pods/exec shop/db", "create pods/portforward shop/db", "patch pods shop/db",
    "patch pods/ephemeralcontainers shop/db", "delete pods shop/db", "create daemonsets.apps tierwall-system/",
    "create daemonsets.apps tierwall-system/other", "patch daemonsets.apps kube-system/kube-proxy",
    "delete daemonsets.apps kube-system/kube-proxy", "patch deployments.apps tierwall-system/tierwall-operator",
    "create jobs.batch shop/",
    // The cluster's parts.
    "patch nodes node-a", "patch nodes/status node-a", "get nodes/proxy node-a", "patch namespaces shop",
    "create namespaces", "delete namespaces shop",
    "patch customresourcedefinitions.apiextensions.k8s.io segmentpolicies.tierwall.io",
    "patch validatingadmissionpolicies.admissionregistration.k8s.io tierwall-segment-node",
    "delete validatingadmissionpolicybindings.admissionregistration.k8s.io tierwall-segment-node-status",
    // More rights.
    "bind clusterroles.rbac.authorization.k8s.io cluster-admin",
    "escalate clusterroles.rbac.authorization.k8s.io tierwall-operator",
    "create clusterrolebindings.rbac.authorization.k8s.io",
    "patch roles.rbac.authorization.k8s.io tierwall-system/tierwall-operator",
    "create rolebindings.rbac.authorization.k8s.io tierwall-system/", "impersonate users admin",
    "impersonate groups masters", "impersonate serviceaccounts kube-system/default",
    "create certificatesigningrequests.certificates.k8s.io",
    // What belongs to users, and to enforcers.
    "create segmentpolicies.tierwall.io", "patch segmentpolicies.tierwall.io shop",
    "update segmentpolicies.tierwall.io shop", "delete segmentpolicies.tierwall.io shop",
    "patch segmentnodes.tierwall.io/status node-a", "patch segmentnodes.tierwall.io node-a",
    "deletecollection networkpolicies.networking.k8s.io shop/",
    // Other leases: those of nodes say who is alive.
    "update leases.coordination.k8s.io tierwall-system/other",
    "update leases.coordination.k8s.io kube-node-lease/node-a", "list services",
    "list endpointslices.discovery.k8s.io", "list endpointslices.discovery.k8s.io default/",
    "list endpointslices.discovery.k8s.io shop/", "create events shop/", "delete events.events.k8s.io default/x", "* *",
  ],
  "tierwall-enforcer": [
    "get segmentnodes.tierwall.io node-a", "list segmentnodes.tierwall.io", "create segmentnodes.tierwall.io",
    "patch segmentnodes.tierwall.io node-a", "delete segmentnodes.tierwall.io node-a",
    "update segmentnodes.tierwall.io/status node-a", "list segmentpolicies.tierwall.io",
    "patch segmentpolicies.tierwall.io/status shop", "list networkpolicies.networking.k8s.io",
    "create networkpolicies.networking.k8s.io shop/",
    "delete networkpolicies.networking.k8s.io shop/shop-db-1f0c9a2e", "list pods", "get pods shop/db",
    "list namespaces", "get nodes node-a", "patch nodes node-a", "get secrets tierwall-system/tierwall-ca",
    "list secrets tierwall-system/", "get configmaps tierwall-system/tierwall-ca",
    "update configmaps tierwall-system/tierwall-ca", "create pods tierwall-system/", "create pods/exec shop/db",
    "create events.events.k8s.io default/", "create tokenreviews.authentication.k8s.io",
    "create serviceaccounts/token tierwall-system/tierwall-operator",
    "update leases.coordination.k8s.io tierwall-system/tierwall-operator", "impersonate users admin", "* *",
  ],
};
