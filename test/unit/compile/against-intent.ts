import fc from "fast-check";

import { judgeOf } from "../../../operator/analyze/verdict.ts";
import { parseAddress } from "../../../operator/api/address.ts";
import { selects } from "../../../operator/api/label-selector.ts";
import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { SegmentPolicySpec } from "../../../operator/api/segment-policy.ts";
import type { mergeAddresses, networkText } from "../../../operator/compile/address-blocks.ts";
import type { compile } from "../../../operator/compile/compile.ts";
import type { Facts } from "../../../operator/compile/facts.ts";
import type { partsIn } from "../../../operator/compile/part.ts";
import type { segmentNamespaces } from "../../../operator/compile/segment-namespaces.ts";
import { Intent, type World } from "./intent.ts";
import { probesOf, specs, worlds } from "./worlds.ts";

/** What of operator/compile is checked: also a copy of it that has been broken on purpose. */
export interface Compiler {
  readonly compile: typeof compile;
  readonly partsIn: typeof partsIn;
  readonly segmentNamespaces: typeof segmentNamespaces;
  readonly mergeAddresses: typeof mergeAddresses;
  readonly networkText: typeof networkText;
}

/**
 * Random policies in random clusters: every connection passes the generated NetworkPolicies if, and only if, the
 * SegmentPolicy says so. While no fact is known (`known` is false) less may pass, and never more.
 */
export function agreesWithIntent(compiler: Compiler, known = true): fc.IProperty<[SegmentPolicySpec, World]> {
  return fc.property(specs, worlds, (spec, world) => {
    const { namespaces, pods } = world;
    const networkPolicies = generated(compiler, spec, world, known);
    const cluster = {
      namespaces, pods, networkPolicies, nodes: new Map(), enforce: "All", nodeTraffic: "Enforce",
    } as const;
    const [judge, intent] = [judgeOf(cluster), new Intent(spec, world)];
    for (const probe of probesOf(world)) {
      const { allowed } = judge(probe);
      if (allowed === intent.wants(probe) || (!allowed && !known)) continue;
      const { source, destination, protocol, port = "" } = probe;
      throw new Error(`${source} → ${destination} ${protocol} ${port}: ${allowed ? "wider" : "narrower"} than written`);
    }
  });
}

function generated(
  compiler: Compiler, spec: SegmentPolicySpec, world: World, known: boolean,
): readonly NetworkPolicy[] {
  const parts = compiler.compile("shop", spec, known ? factsOf(compiler, world) : nothingKnown(world));
  const excluded = new Set(world.excludedNamespaces);
  return compiler.segmentNamespaces(spec, world.namespaces, excluded).flatMap((namespace) =>
    compiler.partsIn(parts, namespace.labels).map((part) =>
      readNetworkPolicy({ metadata: { namespace: namespace.name, name: part.name }, spec: part.spec }),
    ),
  );
}

function nothingKnown({ dns, excludedNamespaces }: World): Facts {
  const unknown = { peers: [], ports: dns.ports, unknown: ["DNS"], stale: [] };
  return { dns: unknown, apiServer: undefined, excludedNamespaces, nodes: () => ({ blocks: undefined }) };
}

/** What compile is told of the world. */
export function factsOf(compiler: Pick<Compiler, "mergeAddresses" | "networkText">, { dns, apiServer, excludedNamespaces, nodes }: World): Facts {
  return {
    dns: { ...dns, unknown: [], stale: [] },
    apiServer: { blocks: apiServer.addresses.map((address) => `${address}/32`), ports: apiServer.ports },
    excludedNamespaces,
    nodes: (selector) => {
      const named = nodes.filter(({ labels }) => selects(selector, labels)).flatMap(({ addresses }) => addresses);
      const networks = compiler.mergeAddresses(named.flatMap((address) => parseAddress(address) ?? []));
      const blocks = networks.map((network) => compiler.networkText(network));
      return { blocks: blocks.length === 0 ? undefined : blocks };
    },
  };
}
