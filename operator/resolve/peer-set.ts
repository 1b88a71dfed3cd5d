import { canonicalJson } from "../api/canonical-json.ts";
import type { LabelSelector } from "../api/label-selector.ts";
import type { IPBlock, Protocol } from "../api/network-policy.ts";
import type { PeerSetDelta, PeerSetId, PeerSetKind } from "../api/node-state.ts";
import { parseAddress, blockTest } from "../api/address.ts";
import { digest } from "./digest.ts";
import type { PodGroup } from "./pod-group.ts";
import type { LivePod } from "./live-pod.ts";
import type { NodeSpan } from "./node-span.ts";

/** Where pods are looked for: in one namespace, or in all that a selector (canonical) selects. */
export type Scope = { readonly namespace: string } | { readonly namespaces: LabelSelector };

/** Which pods: `selector` is canonical. Equal queries are evaluated once. */
export interface PodQuery {
  readonly scope: Scope;
  readonly selector: LabelSelector;
}

/** What a peer set means. With `port`: address, protocol and number of each pod that has the name, inside `block`. */
export interface PeerQuery extends PodQuery {
  readonly port?: { readonly name: string; readonly protocol: Protocol };
  readonly block?: IPBlock;
}

/** The set's name: of what it means, never of its members. */
export function peerSetId(query: PeerQuery): PeerSetId {
  return digest(canonicalJson(query)) as PeerSetId;
}

/** The members of one peer set: as the nodes know them, and what is to be changed about that. */
export class LivePeerSet {
  readonly id: PeerSetId;
  readonly kind: PeerSetKind;
  readonly group: PodGroup;
  /** Whose state holds it. */
  readonly nodes = new Set<NodeSpan>();
  /** Rules that name it. At 0 it lives on until the next round of changes: a policy's update comes as two steps. */
  references = 0;
  readonly #published = new Set<string>();
  readonly #pending = new Map<string, boolean>();
  readonly #port: PeerQuery["port"];
  readonly #inBlock: ReturnType<typeof blockTest>;
  readonly #onChange: (set: LivePeerSet) => void;

  constructor(id: PeerSetId, query: PeerQuery, group: PodGroup, onChange: (set: LivePeerSet) => void) {
    this.id = id;
    this.#onChange = onChange;
    this.kind = query.port === undefined ? "address" : "endpoint";
    this.group = group;
    this.#port = query.port;
    this.#inBlock = query.block && (blockTest(query.block) ?? (() => false));
  }

  /** As of the last `settle`. */
  get members(): ReadonlySet<string> {
    return this.#published;
  }

  /** Puts what `pod` contributes by `address`, or takes it away. An address has one owner: no counting is needed. */
  put(pod: LivePod, address: string, present: boolean): void {
    for (const member of this.#membersOf(pod, address)) {
      if (this.#published.has(member) === present) this.#pending.delete(member);
      else this.#pending.set(member, present);
    }
    if (this.#pending.size > 0) this.#onChange(this);
  }

  /** Makes what is pending the members, and returns the net change. */
  settle(): PeerSetDelta {
    const add: string[] = [];
    const remove: string[] = [];
    for (const [member, present] of this.#pending) {
      (present ? add : remove).push(member);
      if (present) this.#published.add(member);
      else this.#published.delete(member);
    }
    this.#pending.clear();
    return { kind: this.kind, add, remove };
  }

  #membersOf({ pod }: LivePod, address: string): readonly string[] {
    const port = this.#port;
    if (port === undefined) return [address];
    if (this.#inBlock !== undefined) {
      const parsed = parseAddress(address);
      if (parsed === undefined || !this.#inBlock(parsed)) return [];
    }
    return pod.ports
      .filter(({ name, protocol }) => name === port.name && protocol === port.protocol)
      .map((named) => `${address},${named.protocol.toLowerCase()}:${named.port}`);
  }
}
