/**
 * The other ends of an enforcer's wires, for a test inside its network namespace: the real hub and stream server, which
 * let everyone in; before them a server that hands their lines on and does what it is told to some; and an API server
 * that takes statuses, or nothing at all.
 * Arguments: certificate file, key file, and as JSON what settings are others.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { createServer, request } from "node:https";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_ENFORCER_SETTINGS, type EnforcerSettings } from "../../../operator/api/enforcer-settings.ts";
import type { NodeState, PeerSetId } from "../../../operator/api/node-state.ts";
import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import { StreamHub } from "../../../operator/stream/hub.ts";
import { LineSplitter } from "../../../operator/stream/line-splitter.ts";
import { StreamServer } from "../../../operator/stream/server.ts";
import { API_PORT, SEGMENT, STREAM_PORT } from "../enforcer-operator.ts";
import { nodeState, type StateDraft } from "../enforcer-state.ts";

/** What happens on the way to every snapshot's lines, from the next connection on. */
export interface Harm {
  /** The first line that contains this is harmed. */
  readonly at: string;
  /** Text in that line that is replaced by `by`. Absent = all of it. */
  readonly replace?: string;
  readonly by?: string;
  /** Bytes instead of the line, in base64. */
  readonly bytes?: string;
  /** The connection ends there: in the middle of the line, or before it. */
  readonly end?: "within" | "before";
  /** After the line comes all that the first connection of all was told, but for its `hello`. */
  readonly replay?: boolean;
  /** From the next line on. */
  readonly next?: Harm;
}

export type FaultyOrder =
  /** The node's state from now on, whole. Followers are not told of it: they get it with their next snapshot. */
  | { readonly do: "state"; readonly state: StateDraft; readonly generation: number; readonly many?: Many | undefined }
  | { readonly do: "harm"; readonly harm: Harm | undefined }
  /** Ends every stream. */
  | { readonly do: "hang up" }
  /** From now on nobody takes a stream's connection; or somebody does again. */
  | { readonly do: "away"; readonly on: boolean }
  | { readonly do: "statuses" }
  /** From now on the API server takes connections and says nothing; or it speaks again. */
  | { readonly do: "black hole"; readonly on: boolean }
  /** Replaces members of a set at a rate, or only adds some; answered at the end. */
  | {
      readonly do: "churn";
      readonly set: string;
      readonly perSecond: number;
      readonly seconds: number;
      readonly grow?: boolean;
    };

/** Members that a set is to have beside those that are named. */
export interface Many {
  readonly set: string;
  readonly members: number;
}

/** What became of a churn. */
export interface Churned {
  readonly changes: number;
  /** The member that came last. */
  readonly last: string;
  readonly milliseconds: number;
}

interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

const NODE = "node-1";
const POD_NET = "10.77.0.0/24";
const MANY_NET = "172.";
const INNER_PORT = STREAM_PORT + 1;
const LEAVES_MS = 50;
const BATCHES_A_SECOND = 100;
/** Beyond every member that a set begins with. */
const FIRST_NEWCOMER = 1_000_000;

/** The operator's end, with a hand in between that does harm. */
class FaultyOperator {
  readonly #tls: Certificate;
  readonly #hub: StreamHub;
  readonly #statuses: SegmentNodeStatus[] = [];
  readonly #held = new Set<ServerResponse>();
  readonly #streams = new Set<ServerResponse>();
  /** What the first connection was told, after `hello`. */
  #recorded: string[] | undefined;
  #state: NodeState = nodeState({});
  #version = 0;
  #harm: Harm | undefined;
  #deaf = false;
  #away = false;

  constructor(tls: Certificate, settings: Partial<EnforcerSettings>) {
    this.#tls = tls;
    this.#hub = new StreamHub({
      version: "test",
      settings: { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 500, diskCopyMs: 50, ...settings },
      podCIDRs: () => [POD_NET],
      state: () => this.#state,
      monotonic: () => performance.now(),
    });
    this.#hub.publish(new Map(), { pods: "0" });
  }

  async start(): Promise<void> {
    const log = { info: () => undefined, warn: () => undefined };
    const authenticate = () => Promise.resolve({ allowed: true } as const);
    const options = { tls: this.#tls, hub: this.#hub, authenticate, log, heartbeatMs: 15_000 };
    await new StreamServer(options).start(INNER_PORT, "127.0.0.1");
    const stream = createServer(this.#tls, ({ url = "", headers }, response) => this.#hand(url, headers, response));
    stream.on("connection", (socket) => this.#away && socket.destroy());
    const api = createServer(this.#tls, (patch, response) => {
      if (this.#deaf) this.#held.add(response);
      else void text(patch).then((body) => {
        this.#statuses.push((JSON.parse(body) as { readonly status: SegmentNodeStatus }).status);
        response.writeHead(200).end("{}");
      });
    });
    await once(stream.listen(STREAM_PORT, "127.0.0.1"), "listening");
    await once(api.listen(API_PORT, "127.0.0.1"), "listening");
  }

  async obey(order: FaultyOrder): Promise<unknown> {
    switch (order.do) {
      case "state":
        this.#set({ ...withMany(nodeState(order.state), order.many), generations: marks(order.generation) });
        return "done";
      case "harm":
        this.#harm = order.harm;
        return "done";
      case "hang up":
        for (const response of this.#streams) response.destroy();
        return "done";
      case "statuses":
        return this.#statuses;
      case "away":
        this.#away = order.on;
        return "done";
      case "black hole":
        this.#deaf = order.on;
        if (!order.on) for (const response of this.#held) response.destroy();
        return "done";
      case "churn":
        return await this.#churn(order);
    }
  }

  #set(state: NodeState): void {
    this.#state = state;
    this.#hub.publish(new Map(), { pods: String((this.#version += 1)) });
  }

  /** Hands the inner server's lines on. */
  #hand(path: string, headers: IncomingHttpHeaders, response: ServerResponse): void {
    this.#streams.add(response);
    const { authorization = "" } = headers;
    const asked = request(
      { host: "127.0.0.1", port: INNER_PORT, path, headers: { authorization }, rejectUnauthorized: false },
      (inner) => {
        response.writeHead(inner.statusCode ?? 500, inner.headers);
        void this.#lines(inner, response).catch(() => response.destroy());
      },
    ).on("error", () => response.destroy()).end();
    response.on("close", () => {
      this.#streams.delete(response);
      asked.destroy();
    });
  }

  async #lines(inner: AsyncIterable<Uint8Array>, response: ServerResponse): Promise<void> {
    const splitter = new LineSplitter();
    const record: string[] | undefined = this.#recorded === undefined ? (this.#recorded = []) : undefined;
    let harm = this.#harm;
    for await (const chunk of inner) {
      for (const line of splitter.push(chunk)) {
        if (!line.includes('"type":"hello"')) record?.push(line);
        if (harm === undefined || !line.includes(harm.at)) {
          response.write(`${line}\n`);
          continue;
        }
        this.#do(harm, line, response);
        if (harm.end !== undefined) {
          // What was written has to leave first: the enforcer is to have read it.
          await sleep(LEAVES_MS);
          response.destroy();
          return;
        }
        harm = harm.next;
      }
    }
    response.end();
  }

  #do({ replace, by = "", bytes, end, replay = false }: Harm, line: string, response: ServerResponse): void {
    if (end === "within") response.write(line.slice(0, line.length / 2));
    else if (bytes !== undefined) response.write(Buffer.from(bytes, "base64"));
    else if (end === undefined) response.write(`${replace === undefined ? line : line.replace(replace, by)}\n`);
    if (replay) for (const old of this.#recorded ?? []) response.write(`${old}\n`);
  }

  /** Members from outside of the set take the place of others, the oldest first. */
  async #churn({ set, perSecond, seconds, grow = false }: Extract<FaultyOrder, { do: "churn" }>): Promise<Churned> {
    const id = set as PeerSetId;
    const each = perSecond / BATCHES_A_SECOND / (grow ? 1 : 2);
    const started = performance.now();
    let [batches, next] = [0, FIRST_NEWCOMER];
    for (; batches < seconds * BATCHES_A_SECOND; batches += 1) {
      await sleep(Math.max(0, started + batches * (1_000 / BATCHES_A_SECOND) - performance.now()));
      const before = this.#state.peers.get(id);
      if (before === undefined) throw new Error(`no set ${set}`);
      const remove = grow ? [] : [...before.members].values().filter((member) => member.startsWith(MANY_NET)).take(each).toArray();
      const add = Array.from({ length: each }, () => addressNumber((next += 1)));
      const members = new Set(before.members);
      for (const member of remove) members.delete(member);
      for (const member of add) members.add(member);
      this.#state = { ...this.#state, peers: new Map([...this.#state.peers, [id, { ...before, members }]]) };
      const peers = new Map([[id, { kind: before.kind, add, remove }]]);
      const delta = { policies: new Map(), pods: new Map(), peers, generations: new Map() };
      this.#hub.publish(new Map([[NODE, delta]]), { pods: String((this.#version += 1)) });
    }
    const milliseconds = Math.round(performance.now() - started);
    return { changes: batches * each * (grow ? 1 : 2), last: addressNumber(next), milliseconds };
  }
}

function marks(generation: number): NodeState["generations"] {
  return new Map([[SEGMENT, { generation, revision: `r${generation}` }]]);
}

/** The state with a set that has so many members more, of addresses that nobody has. */
function withMany(state: NodeState, many: Many | undefined): NodeState {
  if (many === undefined) return state;
  const set = state.peers.get(many.set as PeerSetId);
  if (set === undefined) throw new Error(`no set ${many.set}`);
  const others = Array.from({ length: many.members }, (_, index) => addressNumber(index));
  const members = new Set([...set.members, ...others]);
  return { ...state, peers: new Map([...state.peers, [many.set as PeerSetId, { ...set, members }]]) };
}

function addressNumber(index: number): string {
  return `${MANY_NET}${16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

if (import.meta.main) {
  const [, , certificate = "", key = "", settings = "{}"] = process.argv;
  const tls = { cert: await readFile(certificate), key: await readFile(key) };
  const operator = new FaultyOperator(tls, JSON.parse(settings) as Partial<EnforcerSettings>);
  await operator.start();
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, order } = JSON.parse(line) as { id: number; order: FaultyOrder };
    void operator.obey(order).then((outcome) => process.stdout.write(`${JSON.stringify({ id, outcome })}\n`));
  }
  process.exit(0);
}
