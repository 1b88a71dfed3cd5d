import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import { DEFAULT_SETTINGS } from "../../../operator/api/settings.ts";
import { compile } from "../../../operator/compile/compile.ts";
import type { Part, PartKind } from "../../../operator/compile/part.ts";
import type { Facts } from "../../../operator/compile/facts.ts";
import { dnsFacts } from "../../../operator/control/dns-facts.ts";

export const SEGMENT_LABEL = "example.com/segment";

/** What the operator knows of a cluster without kube-dns and nodes. */
const EMPTY_CLUSTER: Facts = {
  dns: dnsFacts(DEFAULT_SETTINGS.dns, () => ({ addresses: [], stale: true })),
  apiServer: undefined,
  excludedNamespaces: [...DEFAULT_SETTINGS.excludedNamespaces, "tierwall-system"],
  nodes: () => ({ blocks: undefined }),
};

/** What is given to `kubectl apply`. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
  };
  readonly spec?: object;
  readonly [more: string]: unknown;
}

/** Two tiers in the namespaces that carry the segment's label: anyone → web → db. `spec` is put over it. */
export function segmentPolicy(name: string, spec: Readonly<Record<string, unknown>> = {}): Manifest {
  return {
    apiVersion: "tierwall.io/v1alpha1",
    kind: "SegmentPolicy",
    metadata: { name },
    spec: {
      namespaceSelector: { matchLabels: { [SEGMENT_LABEL]: name } },
      tiers: [
        { name: "web", ingress: [{ from: [{ anywhere: {} }], ports: [{ port: 8080 }] }] },
        { name: "db", ingress: [{ from: [{ tier: "web" }], ports: [{ port: 5432 }] }] },
      ],
      ...spec,
    },
  };
}

/** A namespace of segment `segment`. */
export function namespace(name: string, segment: string): Manifest {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { [SEGMENT_LABEL]: segment } } };
}

/**
 * The parts that a SegmentPolicy, read back with its defaults, compiles to in a cluster without kube-dns.
 * @throws Error if it is not accepted
 */
export function partsOf(shown: unknown): readonly Part[] {
  const { metadata, verdict } = readSegmentPolicy(shown);
  if (!verdict.accepted) throw new Error(verdict.message);
  return compile(metadata.name, verdict.spec, EMPTY_CLUSTER);
}

/** The kinds of the parts that `names` belong to, in their order. */
export function kindsOf(parts: readonly Part[], names: readonly string[]): readonly (PartKind | undefined)[] {
  return names.map((name) => parts.find((part) => part.name === name)?.kind);
}
