import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import type { NodeCopy } from "../../../operator/enforcer/disk-copy.ts";
import { readDiskCopy } from "../../../operator/enforcer/disk-copy.ts";
import { diskCopyPath, NodeMemory } from "../../../operator/enforcer/node-memory.ts";
import { addresses, setOf, stateOf } from "../stream/fixture.ts";

const NODE = "node-a";

function copyOf(member: string, diskCopyMs = 10): NodeCopy {
  const settings = { ...DEFAULT_ENFORCER_SETTINGS, diskCopyMs, podCIDRs: [] };
  return { settings, state: stateOf(setOf(member)), versions: {} };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 4_000; performance.now() < end; await pause(5)) if (await holds()) return;
  assert.fail(`not within 4 s: ${what}`);
}

async function pause(ms: number): Promise<void> {
  await SYSTEM_CLOCK.sleep(ms, new AbortController().signal);
}

describe("a node's memory", () => {
  let directory: string;
  let path: string;
  let warnings: { readonly message: string; readonly fields: unknown }[];
  let memory: NodeMemory;
  let stop: AbortController;
  let done: Promise<void>;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "tierwall-memory-"));
    path = diskCopyPath(directory);
    warnings = [];
    const warn = (message: string, fields?: unknown) => void warnings.push({ message, fields });
    const log = { info: () => undefined, error: () => undefined, warn };
    memory = new NodeMemory({ directory, node: NODE, log, clock: SYSTEM_CLOCK });
    stop = new AbortController();
    done = memory.run(stop.signal);
  });
  afterEach(async () => {
    stop.abort();
    await done;
    await rm(directory, { recursive: true });
  });

  const written = async () => await readDiskCopy(path, NODE);
  const holds = (copy: NodeCopy) => async () => {
    const found = await written();
    return found !== undefined && memberOf(found) === memberOf(copy);
  };

  it("writes what is in force, at once", async () => {
    const copy = copyOf("10.0.0.1", 60_000);
    memory.keep(copy);
    await until("the copy", holds(copy));
    assert.deepEqual(await written(), copy);
    assert.deepEqual(await memory.recall(), copy);
  });

  it("writes the newest of many, at most once in a period", async () => {
    const start = performance.now();
    const writes = new Set<number>();
    for (const member of addresses(60)) {
      memory.keep(copyOf(member, 100));
      await pause(2);
      writes.add((await stat(path).catch(() => ({ mtimeMs: 0 }))).mtimeMs);
    }
    const last = copyOf("10.9.9.9", 100);
    memory.keep(last);
    await until("the last copy", holds(last));
    const most = Math.ceil((performance.now() - start) / 100) + 2;
    assert.ok(writes.size <= most && most < 30, `${writes.size} writes, ${most} at most`);
  });

  it("writes nothing for what it has", async () => {
    const copy = copyOf("10.0.0.1", 5);
    memory.keep(copy);
    await until("the copy", holds(copy));
    const { mtimeMs } = await stat(path);
    for (let n = 0; n < 10; n += 1) {
      memory.keep({ ...copy });
      await pause(5);
    }
    assert.equal((await stat(path)).mtimeMs, mtimeMs);
  });

  it("writes what is left when it ends", async () => {
    const [first, last] = [copyOf("10.0.0.1", 60_000), copyOf("10.0.0.2", 60_000)];
    memory.keep(first);
    await until("the copy", holds(first));
    memory.keep(last);
    stop.abort();
    await done;
    assert.equal(await holds(last)(), true);
  });

  it("keeps nothing once it is to forget, also what is being written", async () => {
    memory.keep(copyOf("10.0.0.1"));
    await pause(0);
    await memory.forget();
    await pause(50);
    assert.deepEqual(await readdir(directory), []);
    memory.keep(copyOf("10.0.0.2"));
    await until("a new copy", holds(copyOf("10.0.0.2")));
  });

  it("says once that it cannot write, and tries again", async () => {
    const blocked = `${path}.draft`;
    await mkdir(join(blocked, "in-the-way"), { recursive: true });
    const copy = copyOf("10.0.0.1", 10);
    memory.keep(copy);
    await pause(100);
    assert.equal(warnings.length, 1);
    assert.match(String(warnings[0]?.message), /could not be written/);
    await rm(blocked, { recursive: true });
    await until("the copy", holds(copy));
  });

  it("refuses a copy that is not sound, with one line, and leaves it where it is", async () => {
    await writeFile(path, "nonsense\n");
    assert.equal(await memory.recall(), undefined);
    assert.deepEqual(warnings, [{
      message: "the disk copy is refused, the kernel stays as it is",
      fields: { file: path, reason: "it is no disk copy" },
    }]);
    assert.equal(await readFile(path, "utf8"), "nonsense\n");
  });

  it("says nothing where there is none", async () => {
    assert.equal(await memory.recall(), undefined);
    await chmod(directory, 0o700);
    assert.deepEqual(warnings, []);
  });
});

function memberOf({ state }: NodeCopy): string {
  const [set] = state.peers.values();
  const [member = ""] = set?.members ?? [];
  return member;
}
