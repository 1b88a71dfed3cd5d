import { canonicalJson } from "../api/canonical-json.ts";
import { canonicalSelector, compare } from "../api/label-selector.ts";
import type {
  Direction, EgressRule, IngressRule, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
} from "../api/network-policy.ts";
import { generatedFrom } from "../api/network-policy.ts";
import type {
  PeerSetId, PolicyId, ResolvedPeers, ResolvedPolicy, ResolvedPort, ResolvedRule,
} from "../api/node-state.ts";
import { blockTest } from "../api/address.ts";
import { tooLong, tooManyPairs } from "./policy-size.ts";
import { peerSetId, type PeerQuery, type PodQuery, type Scope } from "./peer-set.ts";

/** A NetworkPolicy with names for its peers, and what stands behind those names. */
export interface PolicyResolution {
  readonly resolved: ResolvedPolicy;
  readonly subject: PodQuery;
  readonly queries: ReadonlyMap<PeerSetId, PeerQuery>;
  /** Paths of what matches nothing because it makes no sense, or is too much for nodes. */
  readonly problems: readonly string[];
}

/** `<namespace>/<name>` */
export function policyId(namespace: string, name: string): PolicyId {
  return `${namespace}/${name}` as PolicyId;
}

/** Of what a SegmentPolicy in mode Audit would write: `audit:<namespace>/<name>`, which no NetworkPolicy can have. */
export function auditId({ metadata: { namespace, name } }: NetworkPolicy): PolicyId {
  return `audit:${namespace}/${name}` as PolicyId;
}

export function resolvePolicy(id: PolicyId, policy: NetworkPolicy): PolicyResolution {
  const excess = tooManyPairs(policy.spec);
  if (excess !== undefined) return withoutRules(id, policy, excess);
  const resolution = withRules(id, policy);
  const length = tooLong(policy.spec, resolution.resolved);
  return length === undefined ? resolution : withoutRules(id, policy, length);
}

/** Whom it isolates stays isolated. Where the limit falls among its rules means nothing to anybody: none counts. */
function withoutRules(id: PolicyId, { metadata, spec, unreadable }: NetworkPolicy, problem: string): PolicyResolution {
  const problems = [...unreadable, problem];
  return withRules(id, { metadata, spec: { ...spec, ingress: [], egress: [] }, unreadable: problems });
}

function withRules(id: PolicyId, policy: NetworkPolicy): PolicyResolution {
  const { metadata: { namespace }, spec } = policy;
  const segment = generatedFrom(policy);
  const [inbound, outbound] = [new Resolution(namespace), new Resolution(namespace)];
  const governs = (direction: Direction) => spec.policyTypes.includes(direction);
  const ingress = spec.ingress.map((rule, index) => inbound.ingress(rule, `spec.ingress[${index}].from`));
  const egress = spec.egress.map((rule, index) => outbound.egress(rule, `spec.egress[${index}].to`));
  // What is wrong with rules that do not count is said all the same; nodes need not know whom they name.
  const queries = [...(governs("Ingress") ? inbound.queries : []), ...(governs("Egress") ? outbound.queries : [])];
  return {
    resolved: {
      id,
      ...(segment !== undefined && { segment }),
      ingress: governs("Ingress") ? ingress : [],
      egress: governs("Egress") ? egress : [],
    },
    subject: { scope: { namespace }, selector: canonicalSelector(spec.podSelector) },
    queries: new Map(queries),
    problems: [...policy.unreadable, ...inbound.problems, ...outbound.problems],
  };
}

/** One policy on its way: collects the peer sets that its rules name. */
class Resolution {
  readonly queries = new Map<PeerSetId, PeerQuery>();
  readonly problems: string[] = [];
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  ingress({ from = [], ports = [] }: IngressRule, path: string): ResolvedRule {
    const peers = this.#peers(this.#readable(from, path), from.length === 0);
    return { peers, ports: resolvePorts(ports), endpoints: [] };
  }

  egress({ to = [], ports = [] }: EgressRule, path: string): ResolvedRule {
    const peers = this.#readable(to, path);
    const resolved = resolvePorts(ports);
    if (resolved === "any") return { peers: this.#peers(peers, to.length === 0), ports: "any", endpoints: [] };
    const named = resolved.filter((port) => "name" in port);
    // Without numbered ports the addresses would allow nothing: their sets would only be carried about.
    const numbered = resolved.filter((port) => !("name" in port));
    const open = numbered.length === 0 ? { sets: [], blocks: [] } : this.#peers(peers, to.length === 0);
    const wanted: readonly NetworkPolicyPeer[] = to.length === 0 ? [{ podSelector: {}, namespaceSelector: {} }] : peers;
    const endpoints = named.flatMap(({ name, protocol }) => wanted.map((peer) => this.#set({
      ...this.#query(peer),
      port: { name, protocol },
      ...(peer.ipBlock && { block: peer.ipBlock }),
    })));
    return { peers: open, ports: numbered, endpoints: [...new Set(endpoints)].toSorted(compare) };
  }

  /** A peer that makes no sense is left out, and so matches nothing. */
  #readable(peers: readonly NetworkPolicyPeer[], path: string): readonly NetworkPolicyPeer[] {
    return peers.filter(({ ipBlock, podSelector, namespaceSelector }, index) => {
      const sane = ipBlock === undefined
        ? podSelector !== undefined || namespaceSelector !== undefined
        : podSelector === undefined && namespaceSelector === undefined && blockTest(ipBlock) !== undefined;
      if (!sane) this.problems.push(`${path}[${index}]`);
      return sane;
    });
  }

  #peers(peers: readonly NetworkPolicyPeer[], any: boolean): ResolvedPeers {
    if (any) return "any";
    const sets = peers.filter(({ ipBlock }) => ipBlock === undefined).map((peer) => this.#set(this.#query(peer)));
    const blocks = peers.flatMap(({ ipBlock }) => ipBlock ?? []);
    return { sets: [...new Set(sets)].toSorted(compare), blocks: distinct(blocks) };
  }

  /** An ipBlock is looked for among all pods: only a pod has port names. */
  #query({ podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer): PodQuery {
    const everywhere = ipBlock === undefined ? namespaceSelector : {};
    const scope: Scope = everywhere === undefined
      ? { namespace: this.#namespace }
      : { namespaces: canonicalSelector(everywhere) };
    return { scope, selector: canonicalSelector(podSelector ?? {}) };
  }

  #set(query: PeerQuery): PeerSetId {
    const id = peerSetId(query);
    this.queries.set(id, query);
    return id;
  }
}

function resolvePorts(ports: readonly NetworkPolicyPort[]): "any" | readonly ResolvedPort[] {
  return ports.length === 0 ? "any" : distinct(ports.map(resolvePort));
}

function resolvePort({ protocol = "TCP", port, endPort }: NetworkPolicyPort): ResolvedPort {
  if (port === undefined) return { protocol };
  if (typeof port === "string") return { protocol, name: port };
  return { protocol, port, ...(endPort !== undefined && endPort !== port && { endPort }) };
}

/** Sorted by canonical text, each once. */
function distinct<T>(items: readonly T[]): readonly T[] {
  const byText = new Map(items.map((item) => [canonicalJson(item), item]));
  return [...byText].toSorted(([a], [b]) => compare(a, b)).map(([, item]) => item);
}
