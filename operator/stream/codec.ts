import { parseNetwork } from "../api/address.ts";
import { DEFAULT_ENFORCER_SETTINGS, type EnforcerSettings, isConnmarkField } from "../api/enforcer-settings.ts";
import type {
  GenerationMark, NodeDelta, NodeState, PeerSetId, PeerSetKind, PodUid, PolicyId,
} from "../api/node-state.ts";
import { ReadError, Reader } from "../api/reader.ts";
import { readMember, readPod, readPolicy } from "./object-parser.ts";
import type { Hello, PeersMessage, Revision, StreamMessage } from "./wire.ts";

/** More members of a set than this make several messages: a line stays short enough to be read in one piece. */
export const MEMBERS_PER_MESSAGE = 1_000;

const TYPES = ["hello", "snapshot", "policy", "pod", "peers", "generation", "revision", "heartbeat", "retire"] as const;

/** The message as a line with its end. */
export function messageLine(message: StreamMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/**
 * The message of a line of the operator's. Unknown fields are refused too: what is not understood might make a rule
 * narrower, and leaving it out would then open what should be closed. Only `hello` may grow without a new protocol: an
 * enforcer leaves out what it does not know, and refuses a `hello` that lacks what it does. Nobody can tell a setting
 * that the operator does not know from one that got lost, and its default may be wider than what is in force.
 * @throws ReadError that names what is wrong, and where
 */
export function parseStreamLine(line: string): StreamMessage {
  return readMessage(line, mustBeSaid);
}

/**
 * The same of a line that an enforcer has kept, maybe of an older version: a setting that it did not know had no effect
 * then either, and reads as its default.
 * @throws ReadError that names what is wrong, and where
 */
export function parseMessage(line: string): StreamMessage {
  return readMessage(line, mayBeMissing);
}

/** What becomes of a field of `hello` that may be missing, or may not. */
type Presence = <T>(field: Reader, read: (reader: Reader) => T, fallback: NoInfer<T>) => T;

const mayBeMissing: Presence = (field, read, fallback) => field.or(read, fallback);
const mustBeSaid: Presence = (field, read) => {
  if (!field.present) throw new ReadError(field.path, "is missing: what is in force stays");
  return read(field);
};

function readMessage(line: string, presence: Presence): StreamMessage {
  const message = new Reader(parseJson(line));
  const type = message.at("type").oneOf(TYPES);
  switch (type) {
    case "hello": return readHello(message, presence);
    case "peers": return readPeers(message);
    case "revision": return readRevision(message);
    case "policy": {
      message.onlyKeys(["type", "id", "policy"]);
      const policy = nullable(message, "policy", readPolicy);
      const id = message.at("id").text();
      const within = message.at("policy");
      if (policy !== null && policy.id !== id) throw within.at("id").wrong(`the id of its message, ${id}`);
      return { type, id: id as PolicyId, policy };
    }
    case "pod": {
      message.onlyKeys(["type", "uid", "pod"]);
      const pod = nullable(message, "pod", readPod);
      const uid = message.at("uid").text();
      if (pod !== null && pod.uid !== uid) throw message.at("pod").at("uid").wrong(`the uid of its message, ${uid}`);
      return { type, uid: uid as PodUid, pod };
    }
    case "generation":
      message.onlyKeys(["type", "policy", "mark"]);
      return { type, policy: message.at("policy").text(), mark: nullable(message, "mark", readMark) };
    case "snapshot":
    case "heartbeat":
    case "retire":
      message.onlyKeys(["type"]);
      return { type };
  }
}

/** A whole state, without the revision that ends its batch. */
export function* snapshotMessages(state: NodeState): Generator<StreamMessage> {
  yield { type: "snapshot" };
  for (const [id, { kind, members }] of state.peers) yield* peersMessages(id, kind, [...members], []);
  for (const [id, policy] of state.policies) yield { type: "policy", id, policy };
  for (const [uid, pod] of state.pods) yield { type: "pod", uid, pod };
  for (const [policy, mark] of state.generations) yield { type: "generation", policy, mark };
}

/** A batch of changes, without the revision that ends it. */
export function* deltaMessages(delta: NodeDelta): Generator<StreamMessage> {
  for (const [id, change] of delta.peers) {
    if (change === undefined) yield { type: "peers", id, gone: true };
    else yield* peersMessages(id, change.kind, change.add, change.remove);
  }
  for (const [id, policy] of delta.policies) yield { type: "policy", id, policy: policy ?? null };
  for (const [uid, pod] of delta.pods) yield { type: "pod", uid, pod: pod ?? null };
  for (const [policy, mark] of delta.generations) yield { type: "generation", policy, mark: mark ?? null };
}

function* peersMessages(
  id: PeerSetId,
  kind: PeerSetKind,
  add: readonly string[],
  remove: readonly string[],
): Generator<PeersMessage> {
  const size = MEMBERS_PER_MESSAGE;
  // One message even for an empty set: it exists, and policies may name it.
  const messages = Math.max(1, Math.ceil(Math.max(add.length, remove.length) / size));
  for (let index = 0; index < messages; index += 1) {
    const [from, to] = [index * size, (index + 1) * size];
    yield { type: "peers", id, kind, add: add.slice(from, to), remove: remove.slice(from, to) };
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new Error(`not a line of JSON: ${JSON.stringify(line.slice(0, 60))}`, { cause });
  }
}

function readHello(message: Reader, presence: Presence): Hello {
  return {
    type: "hello",
    protocol: message.at("protocol").integer(1),
    version: message.at("version").text(),
    node: message.at("node").text(),
    settings: readSettings(message.at("settings"), presence),
    podCIDRs: presence(message.at("podCIDRs"), (list) => list.each(readNetwork), []),
  };
}

function readSettings(settings: Reader, presence: Presence): EnforcerSettings {
  const setting = <Key extends keyof EnforcerSettings>(key: Key, read: (reader: Reader) => EnforcerSettings[Key]) => {
    return presence<EnforcerSettings[Key]>(settings.at(key), read, DEFAULT_ENFORCER_SETTINGS[key]);
  };
  const milliseconds = (reader: Reader) => reader.integer(1, 86_400_000);
  return {
    nodeTraffic: setting("nodeTraffic", (reader) => reader.oneOf(["Allow", "Enforce"])),
    establishedFlows: setting("establishedFlows", (reader) => reader.oneOf(["Cut", "Keep"])),
    failClosed: setting("failClosed", (reader) => reader.flag()),
    connmarkMask: setting("connmarkMask", readMask),
    backend: setting("backend", (reader) => reader.oneOf(["Auto", "nft", "legacy"])),
    logDrops: setting("logDrops", (reader) => reader.oneOf(["Audit", "All", "None"])),
    logPerSecond: setting("logPerSecond", (reader) => reader.integer(1, 100)),
    leaversMs: setting("leaversMs", milliseconds),
    driftCheckMs: setting("driftCheckMs", milliseconds),
    diskCopyMs: setting("diskCopyMs", milliseconds),
    streamSilenceMs: setting("streamSilenceMs", milliseconds),
  };
}

/** As the operator's own settings are read: other bits could not hold what rules write into them. */
function readMask(mask: Reader): number {
  const value = mask.integer(0, 0xffffffff);
  if (value !== 0 && !isConnmarkField(value)) throw mask.wrong("0 or one run of at least 8 bits");
  return value;
}

function readNetwork(network: Reader): string {
  const text = network.text();
  if (parseNetwork(text) === undefined) throw network.wrong("a network such as 10.0.0.0/8");
  return text;
}

function readPeers(message: Reader): PeersMessage {
  const id = message.at("id").text() as PeerSetId;
  if (message.at("gone").present) {
    message.onlyKeys(["type", "id", "gone"]);
    if (!message.at("gone").flag()) throw message.at("gone").wrong("true");
    return { type: "peers", id, gone: true };
  }
  message.onlyKeys(["type", "id", "kind", "add", "remove"]);
  const kind = message.at("kind").oneOf(["address", "endpoint"]);
  const members = (key: string) => message.at(key).each((member) => readMember(member, kind));
  return { type: "peers", id, kind, add: members("add"), remove: members("remove") };
}

function readRevision(message: Reader): Revision {
  message.onlyKeys(["type", "revision", "versions", "complete"]);
  if (!message.at("complete").flag()) throw message.at("complete").wrong("true");
  const versions = message.at("versions");
  return {
    type: "revision",
    revision: message.at("revision").integer(1),
    versions: Object.fromEntries(versions.keys().map((kind) => [kind, readVersion(versions.at(kind))])),
    complete: true,
  };
}

function readVersion(version: Reader): string {
  const text = version.text();
  if (!/^[0-9]{1,20}$/.test(text)) throw version.wrong("a resource version: digits");
  return text;
}

function readMark(mark: Reader): GenerationMark {
  mark.onlyKeys(["generation", "revision"]);
  return { generation: mark.at("generation").integer(0), revision: mark.at("revision").text() };
}

/** `null` = gone, and must be said: a field that got lost deletes nothing. */
function nullable<T>(message: Reader, key: string, read: (reader: Reader) => T): T | null {
  if (!message.keys().includes(key)) throw new ReadError(key, "is missing; null says that it is gone");
  const member = message.at(key);
  return member.present ? read(member) : null;
}
