import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ClusterDraft } from "../cases/case.ts";
import { ingressOf, only } from "../cases/policies.ts";
import { rawCluster } from "../cases/raw-cluster.ts";
import { ADDRESSES, FAMILIES, type HostName, PLAN, type PodHost } from "./bed/address-plan.ts";
import { Bed } from "./bed/bed.ts";
import { arrivals } from "./disguised-icmpv6.ts";
import { LineWorker } from "../lab/line-worker.ts";
import type { OddOrder } from "./odd-host.ts";

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL("odd-host.ts", import.meta.url));
const PORT = 6000;
const GROUPS = { ipv4: { group: "224.7.7.7", port: PORT + 1 }, ipv6: { group: "ff02::7777", port: PORT + 2 } } as const;
/** ICMPv6 without which there is no IPv6: listener queries, reports and their end, router solicitation, discovery. */
const DISCOVERY = [130, 131, 132, 133, 135, 136, 143];
/** With these, advertisements and redirects, a pod would make itself its neighbours' router. */
const ROUTERS_OWN = [134, 137];
const OPEN: ClusterDraft = { policies: {} };
/** `a` hears from `b` alone, and speaks to nobody. */
const GUARDED: ClusterDraft = {
  policies: {
    "shop/a": ingressOf("a", [{ from: [{ podSelector: only("b") }] }]),
    "shop/silent": { spec: { podSelector: only("a"), policyTypes: ["Egress"] } },
  },
};

/** How a datagram is sent. */
interface Way {
  readonly to: string;
  readonly port: number;
  readonly from?: string;
}

/** Packets that the one line of `save -c` has seen. @throws AssertionError unless there is exactly one */
function countOf(saved: string, line: RegExp): number {
  const found = saved.split("\n").filter((each) => line.test(each));
  assert.equal(found.length, 1, `${line} in\n${saved}`);
  return Number(found[0]?.match(/^\[(\d+):/)?.[1]);
}

for (const backend of ["nft", "legacy"] as const) {
  for (const wiring of ["bridge", "ptp"] as const) {
    describe(`packets that are no plain first packets: ${backend}, ${wiring}`, function () {
      this.timeout(30_000);
      let bed: Bed;
      const workers = new Map<HostName, LineWorker>();

      before(async () => {
        bed = await Bed.create(wiring);
        await bed.install({ backend });
        for (const host of ["a", "b", "c", "d"] as const) {
          const worker = new LineWorker([...bed.network.enter(host), process.execPath, PROGRAM], {});
          workers.set(host, worker);
          await tell(host, { do: "listen", port: PORT });
        }
      });

      after(async () => {
        for (const worker of workers.values()) await worker.stop();
        await bed.remove();
      });

      describe("case 31", () => {
        for (const family of FAMILIES) {
          it(`fragments are judged as what they are parts of: ${family}`, async () => {
            await apply(GUARDED);
            const ask = { do: "ask", to: ADDRESSES.a[family], port: PORT, bytes: 4_000 } as const;
            assert.equal(await tell("b", ask), true, "an allowed one");
            assert.equal(await tell("c", ask), false, "a denied one");
          });

          it(`untracked packets are judged one by one: ${family}`, async () => {
            await apply(GUARDED);
            const tool = `${family === "ipv4" ? "iptables" : "ip6tables"}-${backend}`;
            const untracked = ["-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", String(PORT), "-j", "CT", "--notrack"];
            await inNode("left", tool, ...untracked);
            try {
              const ask = { do: "ask", to: ADDRESSES.a[family], port: PORT, bytes: 1 } as const;
              await tell("a", { do: "heard" });
              await tell("b", ask);
              assert.equal(await tell("a", { do: "heard" }), 1, "an allowed one arrives");
              for (let time = 0; time < 3; time += 1) await tell("c", ask);
              assert.equal(await tell("a", { do: "heard" }), 0, "a denied client stays denied");
            } finally {
              await inNode("left", tool, ...untracked.map((word) => (word === "-A" ? "-D" : word)));
            }
          });
        }

        it("INVALID packets of a denied client do not get through", async () => {
          await apply(OPEN);
          const flows = await bed.prober.open([{ from: "c", to: ADDRESSES.a.ipv4, protocol: "TCP", port: 80 }]);
          const opened = flows.filter((flow) => flow !== undefined);
          assert.equal(opened.length, 1);
          await apply(GUARDED);
          // Its entry is gone and TCP may not be picked up in the middle: what the client says now is INVALID.
          await inNode("left", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0");
          try {
            await inNode("left", "conntrack", "-F");
            assert.deepEqual(await bed.prober.echo(opened), [false]);
          } finally {
            await inNode("left", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=1");
            await bed.prober.close(opened);
          }
        });
      });

      describe("case 18", () => {
        it("neighbours are found again while everything else is denied", async () => {
          await apply(GUARDED);
          for (const pod of ["a", "b"] as const) await inNode(pod, "ip", "-6", "neighbor", "flush", "dev", "eth0");
          await inNode("left", "ip", "-6", "neighbor", "flush", "all");
          assert.equal(await tell("b", { do: "ask", to: ADDRESSES.a.ipv6, port: PORT, bytes: 1 }), true);
          assert.equal(await tell("c", { do: "ask", to: ADDRESSES.a.ipv6, port: PORT, bytes: 1 }), false);
        });

        it("discovery and listener messages pass where nothing else does, those of routers do not", async () => {
          const types = [...DISCOVERY, ...ROUTERS_OWN];
          await apply(OPEN);
          assert.deepEqual(await arrivals(bed, "c", "a", types), types, "while nobody is isolated they all arrive");
          await apply(GUARDED);
          assert.deepEqual(await arrivals(bed, "c", "a", types), DISCOVERY);
        });

        for (const family of FAMILIES) {
          it(`path MTU discovery works before and after an unrelated change: ${family}`, async () => {
            const dark = (peers: readonly PodHost[]): ClusterDraft => ({
              policies: {
                "shop/a": ingressOf("a", peers.map((peer) => ({ from: [{ podSelector: only(peer) }] }))),
                "shop/out": {
                  spec: {
                    podSelector: only("a"), policyTypes: ["Egress"],
                    egress: [{ to: [{ podSelector: only("d") }], ports: [{ port: PORT }] }],
                  },
                },
              },
            });
            // The last hop is narrow: the other node says so to `a`, to whom it may not speak otherwise.
            await inNode("right", "ip", "link", "set", "to-d", "mtu", "1300");
            try {
              const transfer = { do: "transfer", to: ADDRESSES.d[family], port: PORT, bytes: 200_000 } as const;
              await apply(dark([]));
              assert.equal(await tell("a", transfer), true);
              await apply(dark(["b"]));
              await apply(dark([]));
              // Narrower still: what was learnt before does not do.
              await inNode("right", "ip", "link", "set", "to-d", "mtu", "1280");
              assert.equal(await tell("a", transfer), true);
            } finally {
              await inNode("right", "ip", "link", "set", "to-d", "mtu", "1500");
            }
          });
        }
      });

      describe("case 19", () => {
        for (const family of FAMILIES) {
          it(`the line of an SCTP port counts what it lets in, and the last one what it does not: ${family}`, async () => {
            const ports = [{ protocol: "SCTP", port: 80 }];
            await apply({ policies: { "shop/a": ingressOf("a", [{ from: [{ podSelector: {} }], ports }]) } });
            const init = { to: ADDRESSES.a[family], protocol: "SCTP" } as const;
            const tool = `${family === "ipv4" ? "iptables" : "ip6tables"}-${backend}-save`;
            const counted = async (line: RegExp): Promise<number> => countOf(await inNode("left", tool, "-c"), line);
            const allowing = /-A TW-CI\S* .*-p sctp .*--dport 80 .*-j RETURN$/;
            const dropping = /-A TW-DROP -j DROP$/;
            const [allowed, dropped] = [await counted(allowing), await counted(dropping)];
            const outcomes = await bed.prober.probe([
              { ...init, from: "b", port: 80 }, { ...init, from: "d", port: 80 }, { ...init, from: "b", port: 81 },
              { ...init, from: "c", port: 80 },
            ], 500);
            assert.deepEqual(outcomes, ["open", "open", "dropped", "dropped"]);
            assert.equal(await counted(allowing) - allowed, 2);
            assert.equal(await counted(dropping) - dropped, 2);
          });
        }
      });

      if (wiring === "bridge") {
        describe("case 30", () => {
          it("link-local addresses, broadcasts and multicasts do not reach an isolated pod around its own address", async () => {
            for (const family of FAMILIES) await tell("a", { do: "listen", ...GROUPS[family] });
            const group6 = { to: `${GROUPS.ipv6.group}%eth0`, port: GROUPS.ipv6.port };
            const ways: readonly Way[] = [
              { to: `${await linkLocalOf("a")}%eth0`, port: PORT },
              { to: "10.101.1.255", port: PORT },
              { to: "255.255.255.255", port: PORT },
              { to: GROUPS.ipv4.group, port: GROUPS.ipv4.port },
              // By itself IPv6 sends to a group from a link-local address, which is looked at for itself.
              group6, { ...group6, from: ADDRESSES.c.ipv6 },
            ];
            await apply(OPEN);
            for (const way of ways) assert.equal(await heardBy("a", way), 1, `while nobody is isolated: ${JSON.stringify(way)}`);
            await apply(GUARDED);
            for (const way of ways) assert.equal(await heardBy("a", way), 0, JSON.stringify(way));
          });

          for (const lacks of [[], ["connmark"]] as const) {
            it(`what two pods began by such addresses is cut both ways${lacks.length === 0 ? "" : ", also without marks"}`, async () => {
              await bed.install({ backend, lacks });
              await apply(OPEN);
              assert.equal(await tell("c", { do: "hold", to: `${await linkLocalOf("a")}%eth0`, port: PORT }), true);
              const pushed = async (): Promise<unknown> => {
                await tell("a", { do: "push" });
                return await tell("c", { do: "hear" });
              };
              assert.equal(await pushed(), true, "the server may push");
              const tool = `ip6tables-${backend}-save`;
              await apply(GUARDED);
              const dropped = async (): Promise<number> => countOf(await inNode("left", tool, "-c"), /-A TW-DROP -j DROP$/);
              const before = await dropped();
              assert.equal(await tell("c", { do: "say" }), false);
              assert.equal(await pushed(), false, "the server falls silent too");
              assert.ok((await dropped()) > before, "they are counted");
            });
          }
        });
      }

      /** How many datagrams a host hears when `c` sends one. */
      async function heardBy(host: HostName, way: Way): Promise<unknown> {
        await tell(host, { do: "heard" });
        await tell("c", { do: "ask", bytes: 1, ...way });
        return await tell(host, { do: "heard" });
      }

      async function tell(host: HostName, order: OddOrder): Promise<unknown> {
        const worker = workers.get(host);
        assert.ok(worker);
        return await worker.order(order);
      }

      function apply(cluster: ClusterDraft): Promise<void> {
        return bed.apply(rawCluster(cluster, PLAN));
      }

      async function inNode(host: HostName, program: string, ...args: readonly string[]): Promise<string> {
        const [enter = "", ...rest] = bed.network.enter(host);
        const { stdout } = await run(enter, [...rest, program, ...args]);
        return stdout;
      }

      async function linkLocalOf(host: HostName): Promise<string> {
        const shown = await inNode(host, "ip", "-6", "address", "show", "dev", "eth0", "scope", "link");
        return shown.match(/inet6 (\S+)\//)?.[1] ?? "";
      }
    });
  }
}
