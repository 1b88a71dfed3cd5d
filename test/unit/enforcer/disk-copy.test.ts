import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { NodeCopy } from "../../../operator/enforcer/disk-copy.ts";
import { readDiskCopy, RefusedCopy, removeDiskCopy, writeDiskCopy } from "../../../operator/enforcer/disk-copy.ts";
import { addresses, setOf, stateOf } from "../stream/fixture.ts";
import { anyState } from "./any-state.ts";
import { runs, THOROUGH } from "../runs.ts";

const NODE = "node-a";
const COPY: NodeCopy = {
  settings: { ...DEFAULT_ENFORCER_SETTINGS, failClosed: true, backend: "legacy", diskCopyMs: 7, podCIDRs: ["10.2.0.0/24"] },
  state: stateOf(setOf(...addresses(2_500))),
  versions: { pods: "7", networkpolicies: "18446744073709551615" },
};

/** What `write` does, with lines of the test's own. */
function sealed(lines: readonly string[]): string {
  const body = lines.map((line) => `${line}\n`).join("");
  const sha256 = createHash("sha256").update(body).digest("hex");
  return `${body}${JSON.stringify({ type: "checksum", sha256 })}\n`;
}

describe("the disk copy", () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tierwall-copy-"));
    path = join(directory, "copy");
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("gives back what was written", async () => {
    await writeDiskCopy(path, NODE, COPY);
    assert.deepEqual(await readDiskCopy(path, NODE), COPY);
  });

  it("gives back any state", async () => {
    const settings = fc.record({
      nodeTraffic: fc.constantFrom("Allow", "Enforce"),
      establishedFlows: fc.constantFrom("Cut", "Keep"),
      failClosed: fc.boolean(),
      connmarkMask: fc.constantFrom(0, 0xff, 0xffff00, 0xffff0000, 0xffffffff),
      backend: fc.constantFrom("Auto", "nft", "legacy"),
      podCIDRs: fc.subarray(["10.1.0.0/24", "fd00::/64"]),
    }).map((drawn) => ({ ...DEFAULT_ENFORCER_SETTINGS, ...drawn }));
    const versions = fc.dictionary(fc.constantFrom("pods", "namespaces"), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String), {
      noNullPrototype: true,
    });
    await fc.assert(fc.asyncProperty(anyState, settings, versions, async (state, drawn, read) => {
      const copy: NodeCopy = { state, settings: drawn as NodeCopy["settings"], versions: read };
      await writeDiskCopy(path, NODE, copy);
      assert.deepEqual(await readDiskCopy(path, NODE), copy);
    }), { numRuns: runs(150) });
  });

  it("is not missed where there is none", async () => {
    assert.equal(await readDiskCopy(path, NODE), undefined);
    assert.equal(await removeDiskCopy(path), false);
  });

  it("replaces an older one, is nobody else's to read, and leaves no draft", async () => {
    await writeFile(`${path}.draft`, "half written by a run that was killed", { mode: 0o666 });
    await writeDiskCopy(path, NODE, { ...COPY, state: stateOf(setOf()) });
    await writeDiskCopy(path, NODE, COPY);
    assert.deepEqual(await readdir(directory), ["copy"]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readDiskCopy(path, NODE), COPY);
    assert.equal(await removeDiskCopy(path), true);
    assert.deepEqual(await readdir(directory), []);
  });

  it("is refused at whatever byte it ends too early", async () => {
    await writeDiskCopy(path, NODE, { ...COPY, state: stateOf(setOf("10.0.0.1")) });
    const whole = await readFile(path);
    for (let length = 0; length < whole.length; length += THOROUGH ? 7 : 43) {
      await writeFile(path, whole.subarray(0, length));
      await assert.rejects(readDiskCopy(path, NODE), new RefusedCopy("it ends before its checksum"));
    }
  });

  it("is refused whichever bit of it is another", async () => {
    await writeDiskCopy(path, NODE, { ...COPY, state: stateOf(setOf("10.0.0.1")) });
    const whole = await readFile(path);
    for (let at = 0; at < whole.length; at += THOROUGH ? 5 : 31) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(path, damaged);
      await assert.rejects(readDiskCopy(path, NODE), RefusedCopy, `byte ${at}`);
    }
  });

  describe("is refused", () => {
    let lines: readonly string[];
    const edited = (from: string, to: string) => lines.map((line) => line.replace(from, to));
    beforeEach(async () => {
      await writeDiskCopy(path, NODE, { ...COPY, state: stateOf(setOf("10.0.0.1")) });
      lines = (await readFile(path, "utf8")).trimEnd().split("\n").slice(0, -1);
    });

    const refusals: readonly { readonly name: string; readonly text: () => string; readonly says: RegExp }[] = [
      { name: "empty", text: () => "", says: /^it ends before its checksum$/ },
      { name: "without its checksum", text: () => `${lines.join("\n")}\n`, says: /^it ends before its checksum$/ },
      { name: "with a checksum of another", text: () => sealed(lines).replace("10.0.0.1", "10.0.0.2"), says: /^its checksum does not match: it is damaged$/ },
      { name: "with something behind it", text: () => `${sealed(lines)}{}\n`, says: /^it ends before its checksum$/ },
      { name: "of another node", text: () => sealed(edited(`"node":"${NODE}"`, '"node":"node-b"')), says: /^it is of node node-b, this is node-a$/ },
      { name: "of another node within", text: () => sealed([lines[0] ?? "", ...edited(`"node":"${NODE}"`, '"node":"node-b"').slice(1)]), says: /for node node-b, this is node-a/ },
      { name: "of a future format", text: () => sealed(edited('"format":1', '"format":2')), says: /^its format is 2, this enforcer knows 1$/ },
      { name: "of a future protocol", text: () => sealed(edited('"protocol":1', '"protocol":2')), says: /speaks protocol 2/ },
      { name: "with a message of a later version", text: () => sealed(edited('{"type":"snapshot"}', '{"type":"snapshots"}')), says: /^type: / },
      { name: "with a field of a later version", text: () => sealed(edited('"segment":"shop"', '"segment":"shop","deny":true')), says: /deny/ },
      { name: "another program's", text: () => sealed(["#!/bin/sh"]), says: /^it is no disk copy$/ },
      { name: "binary", text: () => "\u0000\u0001\n\n", says: /^it is no disk copy$/ },
      { name: "of no state", text: () => sealed(lines.slice(0, 2)), says: /^it holds no state$/ },
      { name: "of a state without its end", text: () => sealed(lines.slice(0, -1)), says: /^it holds no state$/ },
      { name: "contradictory", text: () => sealed(lines.filter((line) => !line.includes('"type":"peers"'))), says: /refers to peer set clients, which is unknown/ },
      { name: "with an address that is none", text: () => sealed(edited("10.0.0.1", "db.example")), says: /an IP address/ },
      { name: "that says retire", text: () => sealed(edited('{"type":"snapshot"}', '{"type":"retire"}')), says: /^it says retire/ },
    ];
    for (const { name, text, says } of refusals) {
      it(name, async () => {
        await writeFile(path, text());
        await assert.rejects(readDiskCopy(path, NODE), (error) => error instanceof RefusedCopy && says.test(error.message));
      });
    }

    it("where a folder is in its place", async () => {
      await assert.rejects(readDiskCopy(directory, NODE), RefusedCopy);
    });
  });
});
