import assert from "node:assert/strict";

import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { PodUid, PolicyId } from "../../../operator/api/node-state.ts";
import { BatchAssembler, RefusedBatch } from "../../../operator/stream/batch.ts";
import { deltaMessages, snapshotMessages } from "../../../operator/stream/codec.ts";
import type { StreamMessage } from "../../../operator/stream/wire.ts";
import { CLIENTS, DB, EMPTY, WEB, addresses, audited, peersDelta, pod, policy, setOf, stateOf } from "./fixture.ts";

const hello: StreamMessage = { type: "hello", protocol: 1, version: "1", node: "node-a", settings: { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1, streamSilenceMs: 1 }, podCIDRs: [] };
const revision = (number: number): StreamMessage => ({ type: "revision", revision: number, versions: { pods: "9" }, complete: true });
const state = stateOf(setOf("10.0.0.1", "10.0.0.2"));
const snapshot = [hello, ...snapshotMessages(state), revision(1)];

function feed(messages: readonly StreamMessage[]) {
  const assembler = new BatchAssembler("node-a");
  return messages.map((message) => assembler.take(message)).filter((item) => item !== undefined);
}

describe("batch assembler", () => {
  it("gives hello at once, and the snapshot when it is complete", () => {
    const [greeting, batch, ...rest] = feed(snapshot);
    assert.deepEqual(greeting, hello);
    assert.deepEqual(batch, { kind: "snapshot", state, revision: revision(1) });
    assert.deepEqual(rest, []);
  });

  it("gives retire, instead of a snapshot and after one", () => {
    assert.deepEqual(feed([hello, { type: "retire" }, { type: "heartbeat" }]), [hello, { type: "retire" }]);
    assert.deepEqual(feed([...snapshot, { type: "retire" }]).at(-1), { type: "retire" });
  });

  it("gives nothing of an incomplete snapshot", () => assert.deepEqual(feed(snapshot.slice(0, -1)), [hello]));

  it("collects the lines of a large set", () => {
    const large = stateOf(setOf(...addresses(2_500)));
    const [, batch] = feed([hello, ...snapshotMessages(large), revision(1)]);
    assert.ok(batch !== undefined && "kind" in batch);
    assert.deepEqual(batch.state, large);
  });

  it("applies changes to the state", () => {
    const delta = peersDelta({ add: ["10.0.0.3"], remove: ["10.0.0.1"] });
    const [, , batch] = feed([...snapshot, { type: "heartbeat" }, ...deltaMessages(delta), revision(2)]);
    assert.deepEqual(batch, { kind: "changes", delta, state: stateOf(setOf("10.0.0.2", "10.0.0.3")), revision: revision(2) });
  });

  it("forgets with a new snapshot what that does not name", () => {
    const [, , batch] = feed([...snapshot, ...snapshotMessages(EMPTY), revision(2)]);
    assert.deepEqual(batch, { kind: "snapshot", state: EMPTY, revision: revision(2) });
  });

  it("lets one batch take away a policy, its pod and its set", () => {
    const gone = { policies: new Map([[WEB, undefined]]), pods: new Map([[DB, undefined]]), peers: new Map([[CLIENTS, undefined]]), generations: new Map([["shop", undefined]]) };
    const [, , batch] = feed([...snapshot, ...deltaMessages(gone), revision(2)]);
    assert.ok(batch !== undefined && "kind" in batch);
    assert.deepEqual(batch.state, EMPTY);
  });

  const after = (...messages: readonly StreamMessage[]) => [...snapshot, ...messages];
  const peers = (add: readonly string[], remove: readonly string[] = []) => ({ type: "peers", id: CLIENTS, kind: "address", add, remove }) as const;
  const refusals: readonly { name: string; messages: readonly StreamMessage[]; says: RegExp }[] = [
    { name: "another node's stream", messages: [{ ...hello, node: "node-b" } as StreamMessage], says: /for node node-b, this is node-a/ },
    { name: "a higher protocol", messages: [{ ...hello, protocol: 2 } as StreamMessage], says: /speaks protocol 2, this enforcer knows 1/ },
    { name: "no hello", messages: [{ type: "heartbeat" }], says: /begins with heartbeat, not with hello/ },
    { name: "two hellos", messages: [hello, hello], says: /hello twice/ },
    { name: "changes before a snapshot", messages: [hello, peers([])], says: /peers came before the first snapshot/ },
    { name: "a revision before a snapshot", messages: [hello, revision(1)], says: /revision came before the first snapshot/ },
    { name: "a snapshot within changes", messages: after(peers([]), { type: "snapshot" }), says: /a snapshot begins inside another batch/ },
    { name: "retire before hello", messages: [{ type: "retire" }], says: /begins with retire, not with hello/ },
    { name: "retire within a snapshot", messages: [hello, { type: "snapshot" }, { type: "retire" }], says: /retire comes inside a batch/ },
    { name: "a revision left out", messages: after(revision(3)), says: /revision 3 follows revision 1/ },
    { name: "a member added that is there", messages: after(peers(["10.0.0.1"])), says: /clients gets 10\.0\.0\.1, which it has/ },
    { name: "a member added twice", messages: after(peers(["10.0.0.9"]), peers(["10.0.0.9"])), says: /gets 10\.0\.0\.9, which it has/ },
    { name: "a member removed that is not there", messages: after(peers([], ["10.0.0.9"])), says: /loses 10\.0\.0\.9, which it has not/ },
    { name: "a set of another kind", messages: after({ ...peers([]), kind: "endpoint" }), says: /changes its kind to endpoint/ },
    { name: "a set that changes and is gone", messages: after(peers([]), { type: "peers", id: CLIENTS, gone: true }), says: /changes and is gone/ },
    { name: "a policy twice", messages: after({ type: "policy", id: WEB, policy }, { type: "policy", id: WEB, policy: null }), says: /policy shop\/web is twice/ },
    { name: "a policy whose set is unknown", messages: after({ type: "peers", id: CLIENTS, gone: true }, revision(2)), says: /policy shop\/web refers to peer set clients, which is unknown/ },
    { name: "a policy whose set is of another kind", messages: after({ type: "policy", id: WEB, policy: { ...policy, egress: [{ peers: "any", ports: [], endpoints: [CLIENTS] }] } }, revision(2)), says: /of kind endpoint, but it is of kind address/ },
    { name: "a pod whose policy is gone", messages: after({ type: "policy", id: WEB, policy: null }, revision(2)), says: /pod shop\/db refers to policy shop\/web, which is unknown/ },
    { name: "a pod of an unknown policy", messages: after({ type: "pod", uid: "u" as PodUid, pod: { ...pod, uid: "u" as PodUid, egress: ["shop/x" as PolicyId] } }, revision(2)), says: /refers to policy shop\/x/ },
    { name: "an audit by an unknown policy", messages: after({ type: "pod", uid: audited.uid, pod: { ...audited, audits: [{ policy: "next", tier: "", ingress: [], egress: ["audit:shop/x" as PolicyId] }] } }, revision(2)), says: /refers to policy audit:shop\/x, which is unknown/ },
  ];
  for (const { name, messages, says } of refusals) {
    it(`refuses ${name}`, () => assert.throws(() => feed(messages), (error) => error instanceof RefusedBatch && says.test(error.message)));
  }
});
