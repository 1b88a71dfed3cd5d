import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { errorMessage } from "../api/error-message.ts";
import type { NodeState } from "../api/node-state.ts";
import { Reader } from "../api/reader.ts";
import { BatchAssembler } from "../stream/batch.ts";
import { messageLine, parseMessage, snapshotMessages } from "../stream/codec.ts";
import { LineSplitter } from "../stream/line-splitter.ts";
import type { Versions } from "../stream/versions.ts";
import { PROTOCOL, type Hello, type Retire, type StreamMessage } from "../stream/wire.ts";
import { VERSION } from "../version.ts";
import type { NodeSettings } from "./node-firewall.ts";

/** All that an enforcer needs to do its work without an operator. */
export interface NodeCopy {
  readonly settings: NodeSettings;
  readonly state: NodeState;
  /** Of what the state was computed from. */
  readonly versions: Versions;
}

/** A file that must not be believed: damaged, another node's, or of a format that this enforcer does not know. */
export class RefusedCopy extends Error {
  override readonly name = "RefusedCopy";
}

/** Version of the lines below. */
const FORMAT = 1;
const CHECKSUM = /^\{"type":"checksum","sha256":"([0-9a-f]{64})"\}$/;
/** Written in pieces, so that the text of a large state is never in memory as a whole. */
const PIECE = 64 * 1024;

/**
 * Writes the copy in the stream's own messages, between a line that says what it is and one with the checksum of all
 * before. The file is replaced whole or not at all, also by a machine that loses power.
 */
export async function writeDiskCopy(path: string, node: string, copy: NodeCopy): Promise<void> {
  const draft = draftOf(path);
  // What a killed run has left may have other rights.
  await rm(draft, { force: true });
  const file = await open(draft, "wx", 0o600);
  try {
    await writeLines(file, node, copy);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(dirname(path), "r");
  await folder.sync().finally(() => folder.close());
}

/** Removes the copy. @returns whether there was one */
export async function removeDiskCopy(path: string): Promise<boolean> {
  await rm(draftOf(path), { force: true });
  try {
    await rm(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** The copy of that node, or `undefined` if there is none. @throws RefusedCopy that says what is wrong with it */
export async function readDiskCopy(path: string, node: string): Promise<NodeCopy | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw refused(error);
  }
  try {
    await check(file, node);
    return await assemble(file, node);
  } catch (error) {
    throw refused(error);
  } finally {
    await file.close();
  }
}

async function writeLines(file: FileHandle, node: string, copy: NodeCopy): Promise<void> {
  const hash = createHash("sha256");
  let piece = JSON.stringify({ type: "disk-copy", format: FORMAT, node }) + "\n";
  const flush = async () => {
    hash.update(piece);
    await file.writeFile(piece);
    piece = "";
  };
  for (const message of messagesOf(node, copy)) {
    piece += messageLine(message);
    if (piece.length >= PIECE) await flush();
  }
  await flush();
  piece = JSON.stringify({ type: "checksum", sha256: hash.digest("hex") }) + "\n";
  await file.writeFile(piece);
}

function* messagesOf(node: string, { settings: given, state, versions }: NodeCopy): Generator<StreamMessage> {
  const { podCIDRs, ...settings } = given;
  yield { type: "hello", protocol: PROTOCOL, version: VERSION, node, settings, podCIDRs };
  yield* snapshotMessages(state);
  yield { type: "revision", revision: 1, versions, complete: true };
}

/** @throws Error unless the file is whole, of a format that we know, and of that node */
async function check(file: FileHandle, node: string): Promise<void> {
  const hash = createHash("sha256");
  let last: string | undefined;
  for await (const line of linesOf(file)) {
    if (last === undefined) checkHead(line, node);
    else hash.update(`${last}\n`);
    last = line;
  }
  const checksum = CHECKSUM.exec(last ?? "")?.[1];
  if (checksum === undefined) throw new Error("it ends before its checksum");
  if (checksum !== hash.digest("hex")) throw new Error("its checksum does not match: it is damaged");
}

function checkHead(line: string, node: string): void {
  if (!line.startsWith('{"type":"disk-copy",')) throw new Error("it is no disk copy");
  const head = new Reader(JSON.parse(line));
  const format = head.at("format").integer();
  if (format !== FORMAT) throw new Error(`its format is ${format}, this enforcer knows ${FORMAT}`);
  const owner = head.at("node").text();
  if (owner !== node) throw new Error(`it is of node ${owner}, this is ${node}`);
}

/** @throws Error if the lines are no state */
async function assemble(file: FileHandle, node: string): Promise<NodeCopy> {
  const assembler = new BatchAssembler(node);
  let settings: NodeSettings | undefined;
  let first = true;
  for await (const line of linesOf(file)) {
    if (CHECKSUM.test(line)) break;
    const assembled = first ? undefined : assembler.take(parseMessage(line));
    first = false;
    if (assembled === undefined) continue;
    if (!("kind" in assembled)) settings = settingsOf(assembled);
    else if (settings !== undefined) return { settings, state: assembled.state, versions: assembled.revision.versions };
  }
  throw new Error("it holds no state");
}

function settingsOf(message: Hello | Retire): NodeSettings {
  if (message.type === "retire") throw new Error("it says retire, which no copy does");
  return { ...message.settings, podCIDRs: message.podCIDRs };
}

async function* linesOf(file: FileHandle): AsyncGenerator<string> {
  const splitter = new LineSplitter();
  const chunks: AsyncIterable<Uint8Array> = file.createReadStream({ start: 0, autoClose: false });
  for await (const chunk of chunks) yield* splitter.push(chunk);
}

/** In the same folder: a rename across file systems is none. */
function draftOf(path: string): string {
  return `${path}.draft`;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function refused(cause: unknown): RefusedCopy {
  return new RefusedCopy(errorMessage(cause), { cause });
}
