import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { EnforcedNode } from "./enforced-node.ts";
import { HOSTS, pods } from "./enforcer-cases.ts";
import { ScratchNetwork, Worker } from "./enforcer-network.ts";
import type { Order } from "./enforcer-prober.ts";
import type { StateDraft } from "./enforcer-state.ts";
import type { Look, LookOrder } from "./host-look.ts";

const run = promisify(execFile);
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const KERNELS_TABLE = "/proc/net/ip_vs";

/** As the kernel prints it. */
const HEAD = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;
const REAL = "  -> 0A4D0003:0050      Masq    1      0          0\n";

describe("kube-proxy in IPVS mode", function () {
  this.timeout(60_000);

  describe("by the kernel's table of virtual services", () => {
    let folder: string;
    let network: ScratchNetwork;
    let worker: Worker;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "tierwall-ipvs-"));
      await writeFile(join(folder, "ip_vs"), HEAD);
      network = await ScratchNetwork.create({});
      // Its own view of /proc/net, in the mount namespace that `ip netns exec` gives it: the shell becomes the worker.
      const shown = ["sh", "-c", 'mount --bind "$0" /proc/$$/net && exec "$@"', folder];
      const inNode = ["netns", "exec", network.namespace("node"), ...shown];
      worker = await Worker.start("ip", [...inNode, process.execPath, file("host-look.ts")]);
    });

    after(async () => {
      await worker.stop();
      await network.remove();
      await rm(folder, { recursive: true });
    });

    const tables: readonly (readonly [string, string, boolean])[] = [
      ["that the kernel can, without a service", HEAD, false],
      ["a TCP service", `${HEAD}TCP  0A600001:01BB rr\n${REAL}`, true],
      ["a UDP service", `${HEAD}UDP  0A60000A:0035 rr\n${REAL}`, true],
      ["an SCTP service", `${HEAD}SCTP 0A600001:0050 rr persistent 10800\n${REAL}`, true],
      ["a service of IPv6", `${HEAD}TCP  [fd00:0010:0096:0000:0000:0000:0000:0001]:0050 rr\n`, true],
      ["no such table", "", false],
    ];
    for (const [name, table, found] of tables) {
      it(`${name}: ${found ? "said" : "nothing to say"}`, async () => {
        await writeFile(join(folder, "ip_vs"), table);
        const { findings } = await worker.order<Look>({ pods: [] } satisfies LookOrder);
        assert.deepEqual(findings, found ? [["IpvsMode", false]] : []);
      });
    }
  });

  it("a packet goes through a virtual service of the kernel, and the node confirms nothing", async function () {
    const lack = await lacking();
    if (lack !== undefined) {
      // Where the run is read, so that nobody takes it for tried.
      if (this.test !== undefined) this.test.title += ` (skipped: ${lack})`;
      this.skip();
    }
    const node = await EnforcedNode.create();
    try {
      await throughIpvs(node);
    } finally {
      await node.remove();
    }
  });
});

/** What is missing for a virtual service in this kernel; `undefined` = nothing. */
async function lacking(): Promise<string | undefined> {
  // It may be a module that nobody has needed yet.
  if (!existsSync(KERNELS_TABLE)) await run("modprobe", ["ip_vs"]).catch(() => undefined);
  if (!existsSync(KERNELS_TABLE)) return "this kernel has no IPVS";
  const found = await run("ipvsadm", ["--version"]).then(() => true, () => false);
  return found ? undefined : "ipvsadm, which makes virtual services, is not installed";
}

async function throughIpvs(node: EnforcedNode): Promise<void> {
  const [db] = HOSTS.db;
  const service = { host: "10.96.0.77", port: 8080 };
  const web = await node.network.worker("web", file("enforcer-prober.ts"));
  const probe = () => web.order({ do: "probe", protocol: "TCP", ...service } satisfies Order);
  const denied: StateDraft = { pods: pods({ db: { ingress: ["deny"] } }), policies: { deny: {} } };
  await node.startOperator();
  node.start();
  await node.enforce({ pods: pods({}) }, 1);
  assert.notEqual(await probe(), "open", "nobody has the address yet");
  const named = `${service.host}:${service.port}`;
  await node.network.inNode("ip", "address", "add", `${service.host}/32`, "dev", "lo");
  await node.network.inNode("ipvsadm", "--add-service", "--tcp-service", named, "--scheduler", "rr");
  const real = ["--real-server", `${db}:80`, "--masquerading"];
  await node.network.inNode("ipvsadm", "--add-server", "--tcp-service", named, ...real);
  assert.equal(await probe(), "open", "the service works");
  const unconfirmed = await node.untilNewest(({ conditions: [ready] }) => ready?.reason === "IpvsMode");
  assert.deepEqual(unconfirmed.policies.map(({ state }) => state), ["Failed"]);
  await node.network.inNode("ipvsadm", "--clear");
  const confirmed = await node.enforce(denied, 2);
  assert.deepEqual(confirmed.policies.map(({ state }) => state), ["Enforced"], "without it rules hold again");
  assert.equal(await node.probe(), "dropped");
}
