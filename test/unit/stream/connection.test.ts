import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";

import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { NodeState, ResolvedPolicy } from "../../../operator/api/node-state.ts";
import type { AuthResult } from "../../../operator/stream/authenticator.ts";
import type { Batch } from "../../../operator/stream/batch.ts";
import { bundleOf, createAuthority, issueServingCertificate } from "../../../operator/stream/certificates.ts";
import { StreamClient, type ClientOptions } from "../../../operator/stream/client.ts";
import { messageLine, snapshotMessages } from "../../../operator/stream/codec.ts";
import { StreamHub } from "../../../operator/stream/hub.ts";
import { MAX_LINE_BYTES } from "../../../operator/stream/line-splitter.ts";
import { StreamServer } from "../../../operator/stream/server.ts";
import type { StreamMessage } from "../../../operator/stream/wire.ts";
import { addresses, peersDelta, setOf, stateOf, WEB } from "./fixture.ts";

const NAME = "tierwall-operator.tierwall-system.svc";
const now = () => new Date();
const hello: StreamMessage = { type: "hello", protocol: 1, version: "1", node: "node-a", settings: { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1, streamSilenceMs: 300 }, podCIDRs: [] };

async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 4_000; performance.now() < end; await sleep(5)) if (holds()) return;
  assert.fail(`not within 4 s: ${what}`);
}

describe("stream connection", () => {
  const cleanups: (() => Promise<unknown> | void)[] = [];
  let folder = "";
  let authority: Awaited<ReturnType<typeof createAuthority>>;
  before(async () => {
    authority = await createAuthority(now());
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tierwall-stream-"));
    await writeFile(join(folder, "ca.crt"), bundleOf(authority, now()));
    await writeFile(join(folder, "token"), "right\n");
  });
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
    await rm(folder, { recursive: true });
  });

  const certificate = async (name = NAME, by = authority) => {
    const { certificate, key } = await issueServingCertificate(by, [name], now());
    return { cert: certificate, key };
  };

  async function serve(options: { auth?: () => AuthResult; closed?: boolean; tls?: { cert: string; key: string }; silenceMs?: number } = {}) {
    const seen = { state: stateOf(setOf("10.0.0.1")) as NodeState, refusals: [] as number[], log: [] as string[], tokens: [] as string[] };
    const note = (message: string, facts?: unknown) => void seen.log.push(`${message} ${JSON.stringify(facts)}`);
    const settings = { ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: 1_000, streamSilenceMs: options.silenceMs ?? 300 };
    const hub = new StreamHub({ version: "1", settings, state: () => seen.state, monotonic: () => performance.now() });
    if (options.closed !== true) hub.publish(new Map(), { pods: "5" });
    const server = new StreamServer({
      tls: options.tls ?? await certificate(), hub, heartbeatMs: 50, log: { info: note, warn: note },
      refused: (status) => seen.refusals.push(status),
      authenticate: async (token) => {
        seen.tokens.push(token);
        if (options.auth !== undefined) return options.auth();
        return token === "right" ? { allowed: true } : { allowed: false, status: 401, reason: "unknown" };
      },
    });
    const port = await server.start(0, "127.0.0.1");
    cleanups.push(() => server.stop());
    return { seen, hub, server, port };
  }

  /** An operator that says exactly `text` to each caller. */
  async function recite(text: string, keepOpen: boolean) {
    const seen = { callers: 0 };
    const server = createTlsServer(await certificate(), (_request, response) => {
      seen.callers += 1;
      response.write(text);
      if (!keepOpen) setTimeout(() => response.destroy(), 20);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return { seen, port: (server.address() as AddressInfo).port };
  }

  /** `pace`: how much faster time runs for the client. */
  function follow(port: number, options: Partial<ClientOptions> = {}, pace = 1) {
    const seen = { batches: [] as Batch[], states: [] as string[], hellos: 0, retired: 0, waits: [] as number[] };
    const stop = new AbortController();
    const running = new StreamClient({
      node: "node-a", host: "127.0.0.1", port, serverName: NAME, caFile: join(folder, "ca.crt"), tokenFile: join(folder, "token"),
      onHello: () => void (seen.hellos += 1),
      onRetire: () => void (seen.retired += 1),
      onBatch: (batch) => void seen.batches.push(batch),
      onState: (state, message) => void seen.states.push(`${state}: ${message}`),
      sleep: (ms, signal) => {
        seen.waits.push(ms);
        return sleep(ms / pace, undefined, { signal }).catch(() => undefined);
      },
      monotonic: () => performance.now() * pace, random: () => 1, backoff: { baseMs: 20, capMs: 50 },
      ...options,
    }).run(stop.signal);
    const end = () => {
      stop.abort();
      return running;
    };
    cleanups.push(end);
    return { seen, end, said: (pattern: RegExp) => until(`${pattern} in ${seen.states.join(" | ")}`, () => seen.states.some((text) => pattern.test(text))) };
  }

  it("brings the snapshot, changes and heartbeats", async () => {
    const { seen: operator, hub, port } = await serve();
    const { seen } = follow(port);
    await until("the snapshot", () => seen.batches.length === 1);
    assert.deepEqual(seen.batches[0]?.state, operator.state);
    // Longer than it bears silence.
    await sleep(400);
    hub.publish(new Map([["node-a", peersDelta({ add: ["10.0.0.2"] })]]), { pods: "6" });
    await until("the change", () => seen.batches.length === 2);
    assert.deepEqual(seen.batches[1]?.state.peers, stateOf(setOf("10.0.0.1", "10.0.0.2")).peers);
    assert.deepEqual(seen.states.map((text) => text.split(":")[0]), ["connecting", "connected"]);
  });

  it("brings a policy that is as long as a policy may be, and more", async () => {
    const { seen: operator, port } = await serve();
    const blocks = Array.from({ length: 25_000 }, (_, index) => (
      { cidr: `2001:db8:aaaa:bbbb:cccc:dddd:eeee:${(index + 0x1000).toString(16)}/128` }
    ));
    const long: ResolvedPolicy = { id: WEB, ingress: [{ peers: { sets: [], blocks }, ports: "any", endpoints: [] }], egress: [] };
    operator.state = { ...operator.state, policies: new Map([[WEB, long]]) };
    const { seen } = follow(port);
    await until("the snapshot", () => seen.batches.length === 1);
    const peers = seen.batches[0]?.state.policies.get(WEB)?.ingress[0]?.peers;
    assert.equal(typeof peers === "object" ? peers.blocks.length : 0, blocks.length);
  });

  it("refuses a server of another CA, until its CA is in the file", async () => {
    const other = await createAuthority(now());
    const { port } = await serve({ tls: await certificate(NAME, other) });
    const { seen, said } = follow(port);
    await said(/disconnected: .*certificate/);
    assert.equal(seen.batches.length, 0);
    await writeFile(join(folder, "ca.crt"), bundleOf(authority, now()) + bundleOf(other, now()));
    await until("the snapshot", () => seen.batches.length === 1);
  });

  it("refuses a server of another name", async () => {
    const { port, seen: operator } = await serve({ tls: await certificate("localhost") });
    const { said } = follow(port);
    await said(/disconnected: .*altnames/);
    assert.deepEqual(operator.tokens, []);
  });

  it("takes a new certificate into use", async () => {
    const other = await createAuthority(now());
    const { port, server } = await serve({ tls: await certificate(NAME, other) });
    const { seen, said } = follow(port);
    await said(/disconnected: .*certificate/);
    server.useCertificate(await certificate());
    await until("the snapshot", () => seen.batches.length === 1);
  });

  for (const status of [401, 403, 503] as const) {
    it(`is told ${status}, and the log why`, async () => {
      const { port, seen: operator } = await serve({ auth: () => ({ allowed: false, status, reason: "because" }) });
      const { seen, said } = follow(port);
      await said(new RegExp(`refused: ${status}`));
      assert.equal(operator.refusals[0], status);
      assert.match(operator.log.join("\n"), /because/);
      assert.doesNotMatch(operator.log.join("\n"), /right/);
      assert.equal(seen.hellos, 0);
    });
  }

  it("reads the token again for each attempt", async () => {
    await writeFile(join(folder, "token"), "wrong");
    const { port } = await serve();
    const { seen, said } = follow(port);
    await said(/refused: 401 not allowed/);
    await writeFile(join(folder, "token"), "right");
    await until("the snapshot", () => seen.batches.length === 1);
  });

  it("waits for an operator that is not ready, as long as it says", async () => {
    const { port, hub, seen: operator } = await serve({ closed: true, silenceMs: 3_000 });
    const { seen, said } = follow(port, {}, 10);
    await said(/refused: 503/);
    hub.publish(new Map(), { pods: "5" });
    await until("the snapshot", () => seen.batches.length === 1);
    assert.deepEqual(seen.waits.filter((ms) => ms === 1_000), operator.refusals.map(() => 1_000));
  });

  it("is not served by a replica that is behind", async () => {
    const { port, hub } = await serve({ silenceMs: 3_000 });
    const { seen, said } = follow(port, { since: { pods: "10" } }, 10);
    await said(/refused: 503 this replica has not seen the newest pods yet/);
    hub.publish(new Map(), { pods: "10" });
    await until("the snapshot", () => seen.batches.length === 1);
  });

  it("forgets what it had applied when every replica says for long that it is behind", async () => {
    const { port, seen: operator } = await serve({ silenceMs: 3_000 });
    const { seen, said } = follow(port, { since: { pods: "10" }, behindMs: 1_500 }, 10);
    await said(/disconnected: every replica is behind pods:10 for 1500 ms/);
    await until("the snapshot", () => seen.batches.length === 1);
    assert.ok(operator.refusals.length >= 2, "it was patient");
  });

  it("does not forget it for other refusals", async () => {
    const { port, hub } = await serve({ closed: true });
    const { seen, said } = follow(port, { since: { pods: "10" }, behindMs: 1 }, 10);
    await said(/refused: 503 the operator has not seen/);
    hub.publish(new Map(), { pods: "5" });
    await said(/refused: 503 this replica has not seen the newest pods yet/);
    assert.deepEqual(seen.states.filter((text) => text.includes("every replica")), []);
    assert.equal(seen.batches.length, 0);
  });

  it("brings the order to leave, and stays for what comes", async () => {
    const { port } = await recite([hello, { type: "retire" }, ...snapshotMessages(stateOf(setOf("10.0.0.1"))), { type: "revision", revision: 1, versions: {}, complete: true } as const].map((message) => messageLine(message as StreamMessage)).join(""), true);
    const { seen } = follow(port);
    await until("the snapshot", () => seen.batches.length === 1);
    assert.deepEqual([seen.hellos, seen.retired], [1, 1]);
  });

  it("does not disturb the stream while a batch is being applied", async () => {
    const { port, hub } = await serve();
    let [applying, applied, most] = [0, 0, 0];
    const { seen } = follow(port, {
      onBatch: async () => {
        applying += 1;
        most = Math.max(most, applying);
        await sleep(350);
        applying -= 1;
        applied += 1;
      },
    });
    await until("the first batch", () => applying === 1);
    for (const member of addresses(4).slice(2)) hub.publish(new Map([["node-a", peersDelta({ add: [member] })]]), { pods: "6" });
    await until("the others", () => applied >= 2 && applying === 0);
    assert.equal(most, 1);
    assert.deepEqual(seen.states.filter((text) => text.startsWith("disconnected")), []);
  });

  it("drops a reader that takes nothing", async () => {
    const { port, hub, seen: operator } = await serve();
    // More bytes than the kernel keeps for the two ends.
    const long = addresses(175_000).map((address) => `2001:db8:aaaa:bbbb:cccc:${address}`);
    operator.state = stateOf({ kind: "address", members: new Set(long) });
    const socket = connect({ host: "127.0.0.1", port, ca: bundleOf(authority, now()), servername: NAME });
    cleanups.push(() => void socket.destroy());
    socket.on("error", () => undefined);
    socket.write(`GET /v1/nodes/node-a/stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer right\r\n\r\n`);
    await until("connected", () => hub.followers === 1);
    await until("dropped", () => hub.followers === 0);
    assert.match(operator.log.join("\n"), /reads too slowly/);
  });

  const snapshot = [hello, ...snapshotMessages(stateOf(setOf("10.0.0.1")))].map(messageLine).join("");
  const revision = messageLine({ type: "revision", revision: 1, versions: {}, complete: true });
  const faults: readonly { name: string; text: string; keepOpen?: boolean; says: RegExp }[] = [
    { name: "a snapshot cut off", text: snapshot, says: /disconnected: / },
    { name: "garbage", text: "\u0000\u0001!\n", says: /refused: malformed stream: not a line of JSON/ },
    { name: "a line without end", text: `${messageLine(hello)}${"x".repeat(MAX_LINE_BYTES + 1)}`, keepOpen: true, says: /refused: malformed stream: a line is longer/ },
    { name: "silence", text: messageLine(hello), keepOpen: true, says: /disconnected: .*silent for 300 ms/ },
    { name: "a snapshot with one bad line", text: `${snapshot}nonsense\n`, keepOpen: true, says: /refused: malformed stream: not a line of JSON/ },
    { name: "a hello that lacks a setting", text: `${snapshot.replace('"failClosed":false,', "")}${revision}`, keepOpen: true, says: /refused: malformed stream: settings\.failClosed: is missing/ },
    { name: "another node's stream", text: messageLine({ ...hello, node: "node-b" } as StreamMessage), keepOpen: true, says: /refused: the stream is for node node-b/ },
  ];
  for (const { name, text, keepOpen = false, says } of faults) {
    it(`applies nothing of ${name}, and tries again`, async () => {
      const { seen: operator, port } = await recite(text, keepOpen);
      const { seen, said } = follow(port);
      await said(says);
      await until("another attempt", () => operator.callers >= 2);
      assert.deepEqual([seen.batches.length, seen.hellos], [0, 0], "settings count with a batch that is whole");
    });
  }

  it("tells what is in hello just before the first batch, once a connection", async () => {
    const { port, hub } = await serve();
    const order: string[] = [];
    follow(port, { onHello: () => void order.push("hello"), onBatch: ({ kind }) => void order.push(kind) });
    await until("the snapshot", () => order.length === 2);
    hub.publish(new Map([["node-a", peersDelta({ add: ["10.0.0.2"] })]]), { pods: "6" });
    await until("the change", () => order.length === 3);
    assert.deepEqual(order, ["hello", "snapshot", "changes"]);
  });

  it("comes back after the operator restarts", async () => {
    const first = await serve();
    const { seen, said } = follow(first.port);
    await until("the snapshot", () => seen.batches.length === 1);
    await first.server.stop();
    await said(/disconnected: the operator has ended the stream/);
    cleanups.splice(cleanups.findIndex(() => true), 1);
    await first.server.start(first.port, "127.0.0.1");
    cleanups.push(() => first.server.stop());
    await until("a new snapshot", () => seen.batches.length === 2);
  });

  it("ends at once when it is told to", async () => {
    const { port } = await serve();
    const { seen, end } = follow(port);
    await until("the snapshot", () => seen.batches.length === 1);
    const start = performance.now();
    await end();
    assert.ok(performance.now() - start < 200);
  });

  it("answers 404, 405 and 400 to other requests", async () => {
    const { port, seen: operator } = await serve();
    const ca = bundleOf(authority, now());
    const ask = (line: string) => new Promise<string>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, ca, servername: NAME });
      let text = "";
      socket.on("data", (chunk) => void (text += String(chunk))).on("end", () => resolve(text.slice(9, 12))).on("error", reject);
      socket.write(`${line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer right\r\n\r\n`);
    });
    const path = "/v1/nodes/node-a/stream";
    const answers = [await ask("GET /"), await ask("GET /v1/nodes/A_B/stream"), await ask(`DELETE ${path}`), await ask(`GET ${path}?since=x`)];
    assert.deepEqual(answers, ["404", "404", "405", "400"]);
    assert.deepEqual([operator.refusals, operator.tokens], [[404, 404, 405, 400], []]);
  });
});
