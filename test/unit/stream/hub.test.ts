import assert from "node:assert/strict";

import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { NodeDelta, NodeState } from "../../../operator/api/node-state.ts";
import { BatchAssembler } from "../../../operator/stream/batch.ts";
import { parseMessage } from "../../../operator/stream/codec.ts";
import { StreamHub } from "../../../operator/stream/hub.ts";
import { behind, formatVersions, parseVersions } from "../../../operator/stream/versions.ts";
import { addresses, peersDelta, setOf, stateOf } from "./fixture.ts";

/** A hub over one node whose state the test sets, and a reader that assembles what it is sent. */
function scene(pendingLimit = 100) {
  let state: NodeState = stateOf(setOf("10.0.0.1"));
  let now = 0;
  const counts: number[] = [];
  const hub = new StreamHub({
    version: "1", settings: { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1, streamSilenceMs: 100 }, state: () => state, pendingLimit,
    monotonic: () => now, observe: (followers) => counts.push(followers),
  });
  hub.publish(new Map(), { pods: "1" });
  const reader = () => {
    const assembler = new BatchAssembler("node-a");
    const seen = { takes: true, kinds: [] as string[], heartbeats: 0, ended: "", state: undefined as NodeState | undefined, lines: [] as string[] };
    const attachment = hub.attach("node-a", {
      write: (text) => {
        for (const line of text.trimEnd().split("\n")) {
          seen.lines.push(line);
          const message = parseMessage(line);
          if (message.type === "heartbeat") seen.heartbeats += 1;
          const assembled = assembler.take(message);
          if (assembled !== undefined && "kind" in assembled) {
            seen.kinds.push(assembled.kind);
            seen.state = assembled.state;
          }
        }
        return seen.takes;
      },
      end: (reason) => {
        seen.ended = reason;
      },
    });
    return { seen, attachment };
  };
  const change = (members: readonly string[], delta: NodeDelta) => {
    state = stateOf(setOf(...members));
    hub.publish(new Map([["node-a", delta]]), { pods: "2" });
  };
  return { hub, reader, change, counts, current: () => state, wait: (ms: number) => { now += ms; } };
}

describe("stream hub", () => {
  it("is not behind a replica whose changes it has seen, though it knows of none of its own", () => {
    const hub = new StreamHub({
      version: "1", settings: { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1, streamSilenceMs: 1 }, state: () => stateOf(setOf()), monotonic: () => 0,
      seen: () => ({ pods: "9" }),
    });
    hub.publish(new Map(), { pods: "5" });
    assert.deepEqual([hub.behind({ pods: "8" }), hub.behind({ pods: "10" })], [undefined, "pods"]);
  });

  it("is not ready before the first publish", () => {
    const hub = new StreamHub({ version: "1", settings: { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1, streamSilenceMs: 1 }, state: () => stateOf(setOf()), monotonic: () => 0 });
    assert.equal(hub.ready, false);
    hub.publish(new Map(), {});
    assert.equal(hub.ready, true);
  });

  it("sends a snapshot, then only what concerns the node", () => {
    const { hub, reader, change, current } = scene();
    const { seen } = reader();
    hub.publish(new Map([["node-b", peersDelta({ add: ["10.0.0.9"] })]]), { pods: "3" });
    change(["10.0.0.1", "10.0.0.2"], peersDelta({ add: ["10.0.0.2"] }));
    assert.deepEqual(seen.kinds, ["snapshot", "changes"]);
    assert.deepEqual(seen.state, current());
    assert.ok(Buffer.byteLength(seen.lines.slice(-2).join("\n")) <= 300);
  });

  it("tells a slow reader the net of what it missed", () => {
    const { reader, change, current } = scene();
    const { seen, attachment } = reader();
    seen.takes = false;
    change(["10.0.0.2"], peersDelta({ add: ["10.0.0.2"], remove: ["10.0.0.1"] }));
    const sent = seen.lines.length;
    change(["10.0.0.1"], peersDelta({ add: ["10.0.0.1"], remove: ["10.0.0.2"] }));
    change(["10.0.0.1", "10.0.0.3"], peersDelta({ add: ["10.0.0.3"] }));
    change(["10.0.0.3"], peersDelta({ remove: ["10.0.0.1"] }));
    assert.equal(seen.lines.length, sent);
    seen.takes = true;
    attachment.drained();
    assert.deepEqual(seen.kinds, ["snapshot", "changes", "changes"]);
    assert.deepEqual(seen.state, current());
  });

  it("sends a fresh snapshot to a reader that missed too much", () => {
    const { reader, change, current } = scene(50);
    const { seen, attachment } = reader();
    seen.takes = false;
    change(["10.0.0.1", "10.9.0.1"], peersDelta({ add: ["10.9.0.1"] }));
    const many = addresses(100).slice(2);
    change(["10.0.0.1", "10.9.0.1", ...many], peersDelta({ add: many }));
    seen.takes = true;
    attachment.drained();
    assert.deepEqual(seen.kinds, ["snapshot", "changes", "snapshot"]);
    assert.deepEqual(seen.state, current());
  });

  it("sends a fresh snapshot when a set went and came back meanwhile", () => {
    const { reader, change, current } = scene();
    const { seen, attachment } = reader();
    seen.takes = false;
    change(["10.0.0.1", "10.0.0.2"], peersDelta({ add: ["10.0.0.2"] }));
    change([], peersDelta(undefined));
    change(["10.0.0.7"], peersDelta({ add: ["10.0.0.7"] }));
    seen.takes = true;
    attachment.drained();
    assert.deepEqual(seen.kinds.slice(-1), ["snapshot"]);
    assert.deepEqual(seen.state, current());
  });

  it("sends a snapshot whole when changes are published while it is being made", () => {
    let state: NodeState = stateOf(setOf("10.0.0.1"));
    let unpublished: NodeDelta | undefined;
    const settings = { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1, streamSilenceMs: 100 };
    const hub = new StreamHub({
      version: "1", settings, pendingLimit: 1, monotonic: () => 0,
      state: () => {
        const delta = unpublished;
        unpublished = undefined;
        if (delta !== undefined) hub.publish(new Map([["node-a", delta]]), {});
        return state;
      },
    });
    hub.publish(new Map(), {});
    const assembler = new BatchAssembler("node-a");
    const batches: unknown[] = [];
    const attachment = hub.attach("node-a", {
      write: (text) => {
        batches.push(...text.trimEnd().split("\n").map((line) => assembler.take(parseMessage(line))));
        return false;
      },
      end: () => undefined,
    });
    hub.publish(new Map([["node-a", peersDelta({ add: ["10.0.0.2", "10.0.0.3"] })]]), {});
    state = stateOf(setOf("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"));
    unpublished = peersDelta({ add: ["10.0.0.4"] });
    attachment.drained();
    const last = batches.at(-1) as { kind: string; state: NodeState };
    assert.deepEqual([last.kind, last.state], ["snapshot", state]);
  });

  it("tells whoever connects to leave, and nothing else, where enforcement is switched off", () => {
    const settings = { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1, streamSilenceMs: 100 };
    const hub = new StreamHub({
      version: "1", settings, retiring: true, monotonic: () => 0, state: () => assert.fail("nobody needs a state"),
    });
    hub.publish(new Map(), { pods: "1" });
    const said: string[] = [];
    hub.attach("node-a", { write: (text) => said.push(...text.trimEnd().split("\n")) > 0, end: () => undefined });
    hub.publish(new Map([["node-a", peersDelta({ add: ["10.0.0.2"] })]]), { pods: "2" });
    hub.heartbeat();
    assert.deepEqual(said.map((line) => parseMessage(line).type), ["hello", "retire", "heartbeat"]);
  });

  it("ends the older connection of a node, whose end then changes nothing", () => {
    const { hub, reader, change, counts } = scene();
    const older = reader();
    const newer = reader();
    assert.match(older.seen.ended, /connected anew/);
    older.attachment.detach();
    assert.equal(hub.followers, 1);
    change(["10.0.0.1", "10.0.0.2"], peersDelta({ add: ["10.0.0.2"] }));
    assert.deepEqual([older.seen.kinds.length, newer.seen.kinds.length], [1, 2]);
    newer.attachment.detach();
    assert.equal(counts.at(-1), 0);
  });

  it("sends heartbeats, and ends a connection that takes nothing for too long", () => {
    const { hub, reader, change, wait } = scene();
    const { seen } = reader();
    hub.heartbeat();
    assert.equal(seen.heartbeats, 1);
    seen.takes = false;
    change(["10.0.0.1", "10.0.0.2"], peersDelta({ add: ["10.0.0.2"] }));
    wait(100);
    hub.heartbeat();
    assert.equal(seen.ended, "");
    wait(1);
    hub.heartbeat();
    assert.match(seen.ended, /too slowly/);
    assert.equal(seen.heartbeats, 1);
  });
});

describe("versions", () => {
  it("are read back as written", () => {
    const versions = { pods: "123", networkpolicies: "18446744073709551615" };
    assert.deepEqual(parseVersions(formatVersions(versions)), versions);
    assert.deepEqual(parseVersions(""), {});
    for (const text of ["pods", "pods:", "pods:1;", "pods:-1", "Pods:1"]) assert.throws(() => parseVersions(text), /not a list/);
  });
  const cases: readonly { mine: Record<string, string>; theirs: Record<string, string>; late: string | undefined }[] = [
    { mine: { pods: "9" }, theirs: { pods: "10" }, late: "pods" },
    { mine: { pods: "10" }, theirs: { pods: "9" }, late: undefined },
    { mine: { pods: "10" }, theirs: { pods: "10" }, late: undefined },
    { mine: { pods: "9007199254740992" }, theirs: { pods: "9007199254740993" }, late: "pods" },
    { mine: { pods: "5" }, theirs: { retired: "9" }, late: undefined },
  ];
  for (const { mine, theirs, late } of cases) {
    it(`${JSON.stringify(mine)} is ${late ? "" : "not "}behind ${JSON.stringify(theirs)}`, () => assert.equal(behind(mine, theirs), late));
  }
});
