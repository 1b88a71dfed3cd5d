import type {
  GenerationMark, LocalPod, NodeDelta, NodeState, PeerSet, PeerSetDelta, PeerSetId, PodUid, PolicyId, ResolvedPolicy,
} from "../api/node-state.ts";
import { changedMembers, type Members } from "../api/member-set.ts";
import { type Changed, contradiction } from "./consistency.ts";
import { PROTOCOL, type Hello, type PeersMessage, type Retire, type Revision, type StreamMessage } from "./wire.ts";

/** What an enforcer applies in one piece. `state` is the node's whole state after it. */
export type Batch =
  | { readonly kind: "snapshot"; readonly state: NodeState; readonly revision: Revision }
  | { readonly kind: "changes"; readonly delta: NodeDelta; readonly state: NodeState; readonly revision: Revision };

/** The stream says something that cannot be: what is in force must stay, and the stream be started anew. */
export class RefusedBatch extends Error {
  override readonly name = "RefusedBatch";
}

/** What one message completes. */
export type Assembled = Hello | Batch | Retire | undefined;

/** Collects the messages of one connection into batches that are whole and free of contradictions. */
export class BatchAssembler {
  readonly #node: string;
  #greeted = false;
  #state: NodeState | undefined;
  #revision = 0;
  #draft: Draft | undefined;

  constructor(node: string) {
    this.#node = node;
  }

  /** @throws RefusedBatch that says what is contradictory; the assembler is of no use afterwards */
  take(message: StreamMessage): Assembled {
    if (message.type === "hello") return this.#greet(message);
    if (!this.#greeted) throw new RefusedBatch(`the stream begins with ${message.type}, not with hello`);
    if (message.type === "heartbeat") return undefined;
    if (message.type === "retire") {
      if (this.#draft !== undefined) throw new RefusedBatch("retire comes inside a batch");
      return message;
    }
    if (message.type === "snapshot") {
      if (this.#draft !== undefined) throw new RefusedBatch("a snapshot begins inside another batch");
      this.#draft = new Draft(EMPTY, true);
      return undefined;
    }
    if (this.#draft === undefined) {
      if (this.#state === undefined) throw new RefusedBatch(`${message.type} came before the first snapshot`);
      this.#draft = new Draft(this.#state, false);
    }
    if (message.type === "revision") return this.#complete(this.#draft, message);
    this.#draft.take(message);
    return undefined;
  }

  #greet(hello: Hello): Hello {
    if (this.#greeted) throw new RefusedBatch("the stream says hello twice");
    if (hello.protocol > PROTOCOL) {
      throw new RefusedBatch(`the operator speaks protocol ${hello.protocol}, this enforcer knows ${PROTOCOL} at most`);
    }
    if (hello.node !== this.#node) {
      throw new RefusedBatch(`the stream is for node ${hello.node}, this is ${this.#node}`);
    }
    this.#greeted = true;
    return hello;
  }

  #complete(draft: Draft, revision: Revision): Batch {
    if (revision.revision !== this.#revision + 1) {
      throw new RefusedBatch(`revision ${revision.revision} follows revision ${this.#revision}`);
    }
    const state = draft.state();
    const problem = contradiction(state, draft.changed());
    if (problem !== undefined) throw new RefusedBatch(problem);
    this.#revision = revision.revision;
    this.#state = state;
    this.#draft = undefined;
    if (draft.fresh) return { kind: "snapshot", state, revision };
    return { kind: "changes", delta: draft.delta(), state, revision };
  }
}

const EMPTY: NodeState = { policies: new Map(), pods: new Map(), peers: new Map(), generations: new Map() };

type Framing = "hello" | "snapshot" | "revision" | "heartbeat" | "retire";
type ObjectMessage = Exclude<StreamMessage, { readonly type: Framing }>;

/** A batch while its messages come in. */
class Draft {
  readonly fresh: boolean;
  readonly #before: NodeState;
  readonly #policies = new Map<PolicyId, ResolvedPolicy | undefined>();
  readonly #pods = new Map<PodUid, LocalPod | undefined>();
  readonly #generations = new Map<string, GenerationMark | undefined>();
  readonly #peers = new Map<PeerSetId, MutablePeerSetDelta | undefined>();

  constructor(before: NodeState, fresh: boolean) {
    this.#before = before;
    this.fresh = fresh;
  }

  take(message: ObjectMessage): void {
    switch (message.type) {
      case "policy": return this.#set(this.#policies, "policy", message.id, message.policy);
      case "pod": return this.#set(this.#pods, "pod", message.uid, message.pod);
      case "generation": return this.#set(this.#generations, "generation of", message.policy, message.mark);
      case "peers": return this.#takePeers(message);
    }
  }

  changed(): Changed {
    const losing = [this.#policies, this.#peers].some((changes) => changes.values().some((change) => change === undefined));
    return { policies: this.#policies.values(), pods: this.#pods.values(), losing };
  }

  delta(): NodeDelta {
    const peers = new Map<PeerSetId, PeerSetDelta | undefined>();
    for (const [id, change] of this.#peers) {
      peers.set(id, change && { kind: change.kind, add: [...change.add], remove: [...change.remove] });
    }
    return { policies: this.#policies, pods: this.#pods, generations: this.#generations, peers };
  }

  state(): NodeState {
    const peers = new Map<PeerSetId, PeerSet | undefined>();
    for (const [id, change] of this.#peers) {
      if (change === undefined) peers.set(id, undefined);
      else peers.set(id, { kind: change.kind, members: this.#members(id, change) });
    }
    return {
      policies: replaced(this.#before.policies, this.#policies),
      pods: replaced(this.#before.pods, this.#pods),
      generations: replaced(this.#before.generations, this.#generations),
      peers: replaced(this.#before.peers, peers),
    };
  }

  #members(id: PeerSetId, { add, remove }: MutablePeerSetDelta): Members {
    const before = this.#before.peers.get(id)?.members;
    return before === undefined ? add : changedMembers(before, add, remove);
  }

  #set<Key extends string, Value>(
    changes: Map<Key, Value | undefined>,
    what: string,
    key: Key,
    value: Value | null,
  ): void {
    if (changes.has(key)) throw new RefusedBatch(`${what} ${key} is twice in one batch`);
    if (this.fresh && value === null) throw new RefusedBatch(`a snapshot says that ${what} ${key} is gone`);
    changes.set(key, value ?? undefined);
  }

  #takePeers(message: PeersMessage): void {
    const { id } = message;
    if ("gone" in message) {
      if (this.fresh || this.#peers.has(id)) throw new RefusedBatch(`peer set ${id} changes and is gone in one batch`);
      this.#peers.set(id, undefined);
      return;
    }
    const before = this.#before.peers.get(id);
    const change = this.#peers.has(id)
      ? this.#peers.get(id)
      : { kind: message.kind, add: new Set<string>(), remove: new Set<string>() };
    if (change === undefined) throw new RefusedBatch(`peer set ${id} changes and is gone in one batch`);
    if ((before ?? change).kind !== message.kind || change.kind !== message.kind) {
      throw new RefusedBatch(`peer set ${id} changes its kind to ${message.kind}`);
    }
    for (const member of message.add) {
      if (before?.members.has(member) === true || change.add.has(member)) {
        throw new RefusedBatch(`peer set ${id} gets ${member}, which it has`);
      }
      change.add.add(member);
    }
    for (const member of message.remove) {
      if (before?.members.has(member) !== true || change.remove.has(member)) {
        throw new RefusedBatch(`peer set ${id} loses ${member}, which it has not`);
      }
      change.remove.add(member);
    }
    this.#peers.set(id, change);
  }
}

interface MutablePeerSetDelta {
  readonly kind: PeerSetDelta["kind"];
  readonly add: Set<string>;
  readonly remove: Set<string>;
}

function replaced<Key, Value>(
  before: ReadonlyMap<Key, Value>,
  changes: ReadonlyMap<Key, Value | undefined>,
): ReadonlyMap<Key, Value> {
  if (changes.size === 0) return before;
  const after = new Map(before);
  for (const [key, value] of changes) {
    if (value === undefined) after.delete(key);
    else after.set(key, value);
  }
  return after;
}
