import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { SegmentNodeStatus } from "../../operator/api/segment-node.ts";
import { HOSTS, pods } from "./enforcer-cases.ts";
import type { Worker } from "./enforcer-network.ts";
import { ScratchNetwork } from "./enforcer-network.ts";
import type { OperatorOrder } from "./enforcer-operator.ts";
import { API_PORT, SEGMENT, STREAM_PORT } from "./enforcer-operator.ts";
import type { Order, Outcome } from "./enforcer-prober.ts";
import type { StateDraft } from "./enforcer-state.ts";

const run = promisify(execFile);
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const MAIN = file("../../operator/enforcer/main.ts");
const SERVER_NAME = "tierwall-operator.tierwall-system.svc";
const [DB] = HOSTS.db;

const DENIED: StateDraft = { pods: pods({ db: { ingress: ["db"] } }), policies: { db: {} } };
const ALLOWED: StateDraft = { ...DENIED, policies: { db: { ingress: [{ peers: "any" }] } } };

describe("the enforcer's process, from its stream to its SegmentNode", function () {
  this.timeout(60_000);
  let directory: string;
  let network: ScratchNetwork;
  let operator: Worker;
  let web: Worker;
  let enforcer: ChildProcess | undefined;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "tierwall-enforcer-"));
    const names = `subjectAltName=DNS:${SERVER_NAME},IP:127.0.0.1`;
    const [certificate, key] = [join(directory, "ca.crt"), join(directory, "tls.key")];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
    const subject = ["-subj", "/CN=test", "-addext", names];
    await run("openssl", ["req", "-x509", ...kind, ...subject, "-out", certificate, "-keyout", key]);
    await writeFile(join(directory, "token"), "token");
    network = await ScratchNetwork.create({ web: HOSTS.web, db: HOSTS.db });
    operator = await network.worker("node", file("enforcer-operator.ts"), certificate, key);
    web = await network.worker("web", file("enforcer-prober.ts"));
    const db = await network.worker("db", file("enforcer-prober.ts"));
    await db.order({ do: "listen", protocol: "TCP", port: 80 } satisfies Order);
  });

  after(async () => {
    await kill("SIGKILL");
    await network.remove();
    await rm(directory, { recursive: true });
  });

  it("enforces what the stream says and confirms it, once its SegmentNode is there", async () => {
    await publish(DENIED, 1);
    start();
    const status = await confirmed(1);
    assert.equal(await probe(), "dropped");
    const [ready] = status.conditions;
    assert.deepEqual([ready?.type, ready?.status, status.pods, status.sets], ["Ready", "True", 3, 0]);
    assert.equal(await readiness(), "200");
  });

  it("follows changes", async () => {
    await publish(ALLOWED, 2);
    await confirmed(2);
    assert.equal(await probe(), "open");
    await publish(DENIED, 3);
    await confirmed(3);
    assert.equal(await probe(), "dropped");
  });

  it("puts its jump back where it belongs", async () => {
    await network.inNode("iptables-nft", "-F", "FORWARD");
    await until(async () => (await rules()).match(/^-A FORWARD .*-j TW-FWD$/m) !== null);
    assert.equal(await probe(), "dropped");
  });

  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    it(`leaves the rules in force when it ends by ${signal}, and starts again without writing any`, async () => {
      // The last sweep is done when two looks a moment apart see the same.
      await until(async () => (await rules()) === (await sleep(300).then(rules)));
      const before = await rules();
      await kill(signal);
      assert.equal(await rules(), before);
      assert.equal(await probe(), "dropped");
      start();
      await until(async () => (await readiness()) === "200");
      await sleep(700);
      assert.equal(await rules(), before);
    });
  }

  for (const { tool, kept, reason } of [
    { tool: "ipset", kept: ["iptables-nft-save", "iptables-nft-restore", "iptables-legacy-save", "conntrack"], reason: "IpsetMissing" },
    { tool: "iptables", kept: ["ipset", "conntrack"], reason: "IptablesMissing" },
  ]) {
    it(`says in its SegmentNode that ${tool} is missing, and leaves the rules in force`, async () => {
      await kill("SIGTERM");
      const before = await rules();
      const tools = await mkdtemp(join(directory, "tools-"));
      for (const name of kept) {
        const { stdout } = await run("sh", ["-c", `command -v ${name}`]);
        await symlink(stdout.trim(), join(tools, name));
      }
      start(tools);
      await until(async () => {
        const statuses = await operator.order<SegmentNodeStatus[]>({ do: "statuses" } satisfies OperatorOrder);
        const ready = statuses.at(-1)?.conditions.find(({ type }) => type === "Ready");
        return ready?.status === "False" && ready.reason === reason && ready.message.includes(tool);
      });
      assert.equal(await readiness(), "503");
      assert.equal(await rules(), before);
      assert.equal(await probe(), "dropped");
    });
  }

  /** @param path where it finds its tools; absent = where we do */
  function start(path = process.env["PATH"] ?? ""): void {
    const files = { "ca-file": "ca.crt", "token-file": "token", "api-ca-file": "ca.crt", "api-token-file": "token" };
    const values = {
      ...Object.fromEntries(Object.entries(files).map(([name, value]) => [name, join(directory, value)])),
      node: "node-1",
      operator: `127.0.0.1:${STREAM_PORT}`,
      "operator-name": SERVER_NAME,
      "api-server": `https://127.0.0.1:${API_PORT}`,
    };
    const args = Object.entries(values).map(([name, value]) => `--${name}=${value}`);
    const inNode = ["netns", "exec", network.namespace("node"), "env", `PATH=${path}`, process.execPath];
    enforcer = spawn("ip", [...inNode, MAIN, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    const ending = enforcer;
    enforcer = undefined;
    if (ending === undefined || ending.exitCode !== null) return;
    const ended = new Promise((resolve) => ending.once("close", resolve));
    ending.kill(signal);
    await ended;
  }

  async function publish(state: StateDraft, generation: number): Promise<void> {
    await operator.order({ do: "state", state, generation } satisfies OperatorOrder);
  }

  async function confirmed(generation: number): Promise<SegmentNodeStatus> {
    let found: SegmentNodeStatus | undefined;
    await until(async () => {
      const statuses = await operator.order<SegmentNodeStatus[]>({ do: "statuses" } satisfies OperatorOrder);
      found = statuses.findLast(({ policies }) => {
        return policies.some((policy) => policy.name === SEGMENT && policy.revision === `r${generation}`);
      });
      return found !== undefined;
    });
    assert.ok(found);
    return found;
  }

  function probe(): Promise<Outcome> {
    return web.order({ do: "probe", protocol: "TCP", host: DB, port: 80 } satisfies Order);
  }

  function readiness(): Promise<string> {
    const ask = 'fetch("http://127.0.0.1:9474/readyz").then(({ status }) => process.stdout.write(String(status)))';
    return network.inNode(process.execPath, "-e", ask).catch(() => "nobody there");
  }

  async function rules(): Promise<string> {
    const saved = await network.inNode("iptables-nft-save", "-t", "filter");
    return saved.split("\n").filter((line) => !line.startsWith("#")).join("\n");
  }

  async function until(reached: () => Promise<boolean>): Promise<void> {
    for (const end = performance.now() + 10_000; performance.now() < end; await sleep(25)) {
      if (await reached()) return;
    }
    assert.fail("not within 10 s");
  }
});
