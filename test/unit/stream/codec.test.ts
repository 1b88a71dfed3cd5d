import assert from "node:assert/strict";

import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { deltaMessages, messageLine, parseMessage, parseStreamLine, snapshotMessages } from "../../../operator/stream/codec.ts";
import { LineSplitter } from "../../../operator/stream/line-splitter.ts";
import { CLIENTS, DB, WEB, addresses, audited, peersDelta, pod, setOf, stateOf } from "./fixture.ts";

describe("codec", () => {
  it("reads back what it writes", () => {
    const gone = { policies: new Map([[WEB, undefined]]), pods: new Map([[DB, undefined]]), peers: new Map([[CLIENTS, undefined]]), generations: new Map([["shop", undefined]]) };
    const endpoints = { kind: "endpoint" as const, members: new Set(["10.0.0.1,tcp:80", "fd00::1,udp:53"]) };
    const messages = [
      { type: "hello", protocol: 1, version: "1.2.3", node: "node-a", settings: { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1, streamSilenceMs: 2 }, podCIDRs: [] } as const,
      ...snapshotMessages(stateOf(setOf("10.0.0.1", "fd00::1"))),
      ...snapshotMessages(stateOf(endpoints)),
      ...deltaMessages(gone),
      { type: "pod", uid: audited.uid, pod: audited } as const,
      { type: "revision", revision: 7, versions: { pods: "123" }, complete: true } as const,
      { type: "heartbeat" } as const,
      { type: "retire" } as const,
    ];
    for (const message of messages) assert.deepEqual(parseMessage(messageLine(message).trimEnd()), message);
  });

  it("cuts large sets into lines of 1,000 members, and writes an empty one too", () => {
    const sizes = (members: readonly string[]) => [...deltaMessages(peersDelta({ add: members }))]
      .map((message) => message.type === "peers" && !("gone" in message) ? message.add.length : -1);
    assert.deepEqual(sizes(addresses(2_001)), [1_000, 1_000, 1]);
    assert.deepEqual(sizes([]), [0]);
  });

  it("says nothing of audits where there are none: enforcers that do not know them go on", () => {
    for (const message of snapshotMessages(stateOf(setOf()))) assert.doesNotMatch(messageLine(message), /audit/);
  });

  const podLine = (audits: unknown) => JSON.stringify({ type: "pod", uid: audited.uid, pod: { ...audited, audits } });
  const membersLine = (kind: string, member: string) => JSON.stringify({ type: "peers", id: "s", kind, add: [member], remove: [] });
  const helloLine = (others: object) => {
    const settings = { ...DEFAULT_ENFORCER_SETTINGS, ...others };
    return JSON.stringify({ type: "hello", protocol: 1, version: "1", node: "n", settings, podCIDRs: [] });
  };
  const bad: readonly { name: string; line: string; says: RegExp }[] = [
    { name: "no JSON", line: "{", says: /not a line of JSON: "\{"/ },
    { name: "no object", line: "[]", says: /must be an object/ },
    { name: "unknown type", line: `{"type":"sudo"}`, says: /^type: must be one of hello, / },
    { name: "unknown field", line: `{"type":"heartbeat","x":1}`, says: /^x: unknown field/ },
    { name: "a pod that got lost", line: `{"type":"pod","uid":"u"}`, says: /^pod: is missing/ },
    { name: "a policy that got lost", line: `{"type":"policy","id":"a/b"}`, says: /^policy: is missing/ },
    { name: "an unknown field of a rule", line: `{"type":"policy","id":"a/b","policy":{"id":"a/b","ingress":[{"peers":"any","ports":"any","endpoints":[],"deny":true}],"egress":[]}}`, says: /^policy\.ingress\[0\]\.deny: unknown field/ },
    { name: "a policy under another id", line: `{"type":"policy","id":"a/b","policy":{"id":"a/c","ingress":[],"egress":[]}}`, says: /^policy\.id: / },
    { name: "a host name as a member", line: `{"type":"peers","id":"s","kind":"address","add":["db.example"],"remove":[]}`, says: /^add\[0\]: must be an IP address .*; not "db\.example"/ },
    { name: "a zone", line: `{"type":"peers","id":"s","kind":"address","add":["fe80::1%eth0"],"remove":[]}`, says: /^add\[0\]: / },
    { name: "an endpoint without protocol", line: `{"type":"peers","id":"s","kind":"endpoint","add":["10.0.0.1,80"],"remove":[]}`, says: /^add\[0\]: / },
    { name: "an address that the kernel spells otherwise", line: membersLine("address", "2001:DB8:0::1"), says: /^add\[0\]: must be an IP address in its shortest spelling; not "2001:DB8:0::1"/ },
    { name: "zeros that the kernel leaves out", line: membersLine("address", "2001:db8:0::1"), says: /^add\[0\]: / },
    { name: "an IPv4 address in IPv6 clothes", line: membersLine("address", "::ffff:10.0.0.1"), says: /^add\[0\]: / },
    { name: "an endpoint that the kernel spells otherwise", line: membersLine("endpoint", "2001:db8:0::1,tcp:80"), says: /^add\[0\]: / },
    { name: "a port with zeros before it", line: membersLine("endpoint", "10.0.0.1,tcp:00080"), says: /^add\[0\]: must be <address>,/ },
    { name: "a port too high", line: membersLine("endpoint", "10.0.0.1,tcp:65536"), says: /^add\[0\]: / },
    { name: "a pod's address that the kernel spells otherwise", line: JSON.stringify({ type: "pod", uid: pod.uid, pod: { ...pod, addresses: ["FD00::1"] } }), says: /^pod\.addresses\[0\]: / },
    { name: "port 0", line: `{"type":"peers","id":"s","kind":"endpoint","add":["10.0.0.1,tcp:0"],"remove":[]}`, says: /^add\[0\]: / },
    { name: "a block too long", line: `{"type":"policy","id":"a/b","policy":{"id":"a/b","ingress":[{"peers":{"sets":[],"blocks":[{"cidr":"10.0.0.0/33"}]},"ports":"any","endpoints":[]}],"egress":[]}}`, says: /cidr: must be a network/ },
    { name: "an incomplete revision", line: `{"type":"revision","revision":1,"versions":{},"complete":false}`, says: /^complete: must be true/ },
    { name: "a version that is no number", line: `{"type":"revision","revision":1,"versions":{"pods":"x"},"complete":true}`, says: /^versions\.pods: / },
    { name: "an audit without a tier", line: podLine([{ policy: "next", ingress: [], egress: [] }]), says: /^pod\.audits\[0\]\.tier: / },
    { name: "an unknown field of an audit", line: podLine([{ policy: "next", tier: "", ingress: [], egress: [], drop: true }]), says: /^pod\.audits\[0\]\.drop: unknown field/ },
    { name: "a mark of two runs", line: helloLine({ connmarkMask: 0xff00ff00 }), says: /^settings\.connmarkMask: must be 0 or one run/ },
    { name: "a mark too narrow", line: helloLine({ connmarkMask: 0x7f00 }), says: /^settings\.connmarkMask: / },
    { name: "a mark too wide", line: helloLine({ connmarkMask: 0x1ff000000 }), says: /^settings\.connmarkMask: / },
    { name: "no protocol", line: `{"type":"hello","version":"1","node":"n","settings":{}}`, says: /^protocol: / },
  ];
  for (const { name, line, says } of bad) {
    for (const parse of [parseMessage, parseStreamLine]) {
      it(`refuses ${name}: ${parse.name}`, () => assert.throws(() => parse(line), { message: says }));
    }
  }

  describe("settings that are not said", () => {
    const whole = { type: "hello", protocol: 1, version: "1", node: "n", settings: DEFAULT_ENFORCER_SETTINGS, podCIDRs: ["10.2.0.0/24"] };
    const { podCIDRs: _, ...withoutNets } = whole;

    it("are refused one by one, as are pod networks", () => {
      assert.deepEqual(parseStreamLine(JSON.stringify({ ...whole, later: 1 })), whole, "what a later operator says beside is left out");
      for (const key of Object.keys(DEFAULT_ENFORCER_SETTINGS)) {
        const settings = { ...DEFAULT_ENFORCER_SETTINGS, [key]: undefined };
        const says = { message: `settings.${key}: is missing: what is in force stays` };
        assert.throws(() => parseStreamLine(JSON.stringify({ ...whole, settings })), says);
      }
      assert.throws(() => parseStreamLine(JSON.stringify(withoutNets)), { message: /^podCIDRs: is missing/ });
    });

    it("are in a disk copy what they were for the version that wrote it", () => {
      const message = parseMessage(JSON.stringify({ ...withoutNets, settings: { failClosed: true } }));
      assert.deepEqual(message, { ...whole, podCIDRs: [], settings: { ...DEFAULT_ENFORCER_SETTINGS, failClosed: true } });
    });
  });
});

describe("line splitter", () => {
  it("finds the same lines however the bytes are cut", () => {
    const bytes = Buffer.from("eins\n\nzwölf\nrest");
    for (let size = 1; size <= bytes.length; size += 1) {
      const splitter = new LineSplitter();
      const lines: string[] = [];
      for (let at = 0; at < bytes.length; at += size) lines.push(...splitter.push(bytes.subarray(at, at + size)));
      assert.deepEqual(lines, ["eins", "", "zwölf"]);
    }
  });
  it("takes a line of the limit, and refuses a longer one, finished or not", () => {
    assert.deepEqual(new LineSplitter(4).push(Buffer.from("1234\n")), ["1234"]);
    assert.throws(() => new LineSplitter(4).push(Buffer.from("12345\n")), /longer than 4 bytes/);
    assert.throws(() => new LineSplitter(4).push(Buffer.from("12345")), /longer than 4 bytes/);
  });
  it("refuses what is not UTF-8", () => assert.throws(() => new LineSplitter().push(Buffer.from([0xff, 0x0a])), /not UTF-8/));
});
