/** The parts of Kubernetes' `ObjectMeta` that Tierwall reads. */
export interface ObjectMeta {
  readonly name: string;
  /** Empty for cluster-scoped objects. */
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** 0 where the kind keeps none. */
  readonly generation: number;
  readonly labels: Labels;
  readonly deleting: boolean;
  readonly ownerReferences: readonly OwnerReference[];
  /** Field managers named in `managedFields`; kept only for the kinds whose ownership we judge. */
  readonly managers: readonly string[];
}

export type Labels = Readonly<Record<string, string>>;

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/** Group `tierwall.io`, version `v1alpha1`: every kind of ours. */
export const API_VERSION = "tierwall.io/v1alpha1";

/** Field manager of everything the operator writes but status. */
export const FIELD_MANAGER = "tierwall";
/** Field manager of the statuses that the operator writes. */
export const STATUS_FIELD_MANAGER = "tierwall/status";
/** Field manager of a SegmentNode's status, which its enforcer writes. */
export const ENFORCER_FIELD_MANAGER = "tierwall-enforcer";

export const MANAGED_BY_LABEL = "app.kubernetes.io/managed-by";
export const POLICY_LABEL = "tierwall.io/policy";
/** `quarantine`, `tier` or `default`: in which order generated objects are taken away. */
export const PART_LABEL = "tierwall.io/part";
export const TIER_LABEL = "tierwall.io/tier";
/** Set by the API server on every namespace, equal to its name (Kubernetes ≥ 1.22). */
export const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";
