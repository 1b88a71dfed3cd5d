import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import { bundleOf, createAuthority, issueServingCertificate } from "../../../operator/stream/certificates.ts";
import { StreamClient } from "../../../operator/stream/client.ts";
import { StreamHub } from "../../../operator/stream/hub.ts";
import { StreamServer } from "../../../operator/stream/server.ts";
import { waitFor } from "../../lab/wait.ts";
import { peersDelta, setOf, stateOf } from "./fixture.ts";

const NAME = "tierwall-operator.tierwall-system.svc";

describe("a stream that ends, or does not", () => {
  const cleanups: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  });

  async function identity() {
    const authority = await createAuthority(new Date());
    const { certificate, key } = await issueServingCertificate(authority, [NAME], new Date());
    return { ca: bundleOf(authority, new Date()), tls: { cert: certificate, key } };
  }

  it("of a node whose networks have changed takes nothing more, and harms nobody", async () => {
    const { ca, tls } = await identity();
    let podCIDRs: readonly string[] = [];
    const hub = new StreamHub({
      version: "1", settings: DEFAULT_ENFORCER_SETTINGS, state: () => stateOf(setOf("10.0.0.1")),
      monotonic: () => performance.now(), podCIDRs: () => podCIDRs,
    });
    hub.publish(new Map(), { pods: "5" });
    const log = { info: () => undefined, warn: () => undefined };
    const server = new StreamServer({ tls, hub, heartbeatMs: 1e6, log, authenticate: async () => ({ allowed: true }) });
    const port = await server.start(0, "127.0.0.1");
    cleanups.push(() => server.stop());
    const ended = new Promise<void>((resolve, reject) => {
      const path = "/v1/nodes/node-a/stream";
      const sent = request({ host: "127.0.0.1", port, path, ca, servername: NAME, headers: { authorization: "Bearer x" } });
      sent.on("response", (response) => response.resume().on("end", resolve)).on("error", reject).end();
    });
    await waitFor("connected", async () => hub.followers === 1 || undefined, { timeoutMs: 5_000, everyMs: 5 });
    podCIDRs = ["10.9.0.0/24"];
    hub.heartbeat();
    // In the same turn: the follower is still among the connected ones.
    hub.publish(new Map([["node-a", peersDelta({ add: ["10.0.0.9"] })]]), { pods: "6" });
    await ended;
    await waitFor("let go of", async () => hub.followers === 0 || undefined, { timeoutMs: 5_000, everyMs: 5 });
  });

  it("is asked for anew where an operator's refusal does not come to its end", async () => {
    const { ca, tls } = await identity();
    let callers = 0;
    const server = createServer(tls, (_request, response) => {
      callers += 1;
      response.writeHead(503, { "content-type": "text/plain" }).flushHeaders();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const folder = await mkdtemp(join(tmpdir(), "tierwall-stream-"));
    cleanups.push(() => rm(folder, { recursive: true }));
    await Promise.all([writeFile(join(folder, "ca.crt"), ca), writeFile(join(folder, "token"), "t")]);
    const stop = new AbortController();
    const running = new StreamClient({
      node: "node-a", host: "127.0.0.1", port: (server.address() as AddressInfo).port, serverName: NAME,
      caFile: join(folder, "ca.crt"), tokenFile: join(folder, "token"),
      onHello: () => undefined, onBatch: () => undefined, onRetire: () => undefined, onState: () => undefined,
      monotonic: () => performance.now(), random: () => 0,
      // A hundred times as fast: 10 s for an answer are 100 ms.
      sleep: (ms, signal) => sleep(ms / 100, undefined, { signal }).catch(() => undefined),
    }).run(stop.signal);
    cleanups.push(async () => {
      stop.abort();
      await running;
    });
    await waitFor("another attempt", async () => callers > 1 || undefined, { timeoutMs: 5_000, everyMs: 10 });
    assert.ok(callers > 1);
  });
});
