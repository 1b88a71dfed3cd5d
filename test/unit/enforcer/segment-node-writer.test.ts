import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import { SegmentNodeWriter } from "../../../operator/enforcer/segment-node-writer.ts";

const run = promisify(execFile);

const STATUS: SegmentNodeStatus = {
  conditions: [],
  policies: [{ name: "shop", generation: 3, revision: "r", state: "Enforced", message: "" }],
  policyCount: 1,
  pods: 1,
  rules: { ipv4: 20, ipv6: 0 },
  sets: 1,
  backend: "nft",
  version: "1.0.0",
  lastAppliedTime: "2026-01-01T00:00:00Z",
};

describe("SegmentNodeWriter", () => {
  const { signal } = new AbortController();
  let directory: string;
  let answer: { readonly status: number; readonly body: string };
  let seen: { readonly url: string | undefined; readonly token: string | undefined; readonly body: string };
  let server: ReturnType<typeof createServer>;
  let writer: SegmentNodeWriter;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "tierwall-writer-"));
    const cert = await selfSigned(directory, "ca");
    server = createServer({ cert, key: await readFile(join(directory, "ca.key")) }, (request, response) => {
      void text(request).then((body) => {
        seen = { url: `${request.method} ${request.url}`, token: request.headers.authorization, body };
        response.writeHead(answer.status).end(answer.body);
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const files = { caFile: join(directory, "ca.crt"), tokenFile: join(directory, "token") };
    writer = new SegmentNodeWriter({ server: `https://127.0.0.1:${port}`, ...files }, "node-1");
  });

  after(async () => {
    writer.close();
    server.close();
    await rm(directory, { recursive: true });
  });

  it("applies the status with force, under the enforcer's name, with the token of the moment", async () => {
    answer = { status: 200, body: "{}" };
    for (const token of ["first", "second"]) {
      await writeFile(join(directory, "token"), `${token}\n`);
      await writer.write(STATUS, signal);
      assert.equal(seen.token, `Bearer ${token}`);
    }
    const path = "/apis/tierwall.io/v1alpha1/segmentnodes/node-1/status?fieldManager=tierwall-enforcer&force=true";
    assert.equal(seen.url, `PATCH ${path}`);
    assert.deepEqual(JSON.parse(seen.body), {
      apiVersion: "tierwall.io/v1alpha1",
      kind: "SegmentNode",
      metadata: { name: "node-1" },
      status: STATUS,
    });
  });

  it("fails in the API server's words", async () => {
    answer = { status: 404, body: JSON.stringify({ kind: "Status", message: 'segmentnodes "node-1" not found' }) };
    await assert.rejects(writer.write(STATUS, signal), /404 segmentnodes "node-1" not found/);
    answer = { status: 502, body: "bad gateway" };
    await assert.rejects(writer.write(STATUS, signal), /502 bad gateway/);
  });

  it("refuses a server that the CA does not vouch for", async () => {
    await selfSigned(directory, "other");
    const { port } = server.address() as AddressInfo;
    const files = { caFile: join(directory, "other.crt"), tokenFile: join(directory, "token") };
    const stranger = new SegmentNodeWriter({ server: `https://127.0.0.1:${port}`, ...files }, "node-1");
    await assert.rejects(stranger.write(STATUS, signal), /certificate|self.signed/i);
    stranger.close();
  });
});

/** For 127.0.0.1, valid for a day. */
async function selfSigned(directory: string, name: string): Promise<Buffer> {
  const [out, keyout] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await run("openssl", ["req", "-x509", ...key, "-days", "1", ...subject, "-out", out, "-keyout", keyout]);
  return await readFile(out);
}
