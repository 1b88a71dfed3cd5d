import assert from "node:assert/strict";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import type { AuditSubject } from "../../../operator/enforcer/layout/audits.ts";
import { auditSubjects, recordChain } from "../../../operator/enforcer/layout/audits.ts";
import type { LogFields } from "../../../operator/enforcer/line-logger.ts";
import { metricsText } from "../../../operator/enforcer/metrics-text.ts";
import { parseReached } from "../../../operator/enforcer/netfilter/save-parser.ts";
import { packetCounts } from "../../../operator/enforcer/packet-counts.ts";
import { Allowance } from "../../../operator/enforcer/packet-log/allowance.ts";
import type { Listen } from "../../../operator/enforcer/packet-log/listener.ts";
import type { LoggedPacket } from "../../../operator/enforcer/packet-log/logged-packet.ts";
import { parseLoggedPacket } from "../../../operator/enforcer/packet-log/logged-packet.ts";
import { PacketLog } from "../../../operator/enforcer/packet-log/packet-log.ts";
import { reportsOf } from "../../../operator/enforcer/packet-log/packet-report.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

const PLAN: AuditSubject = { policy: "plan", tier: "db", direction: "Ingress" };
const STATE = nodeState({
  pods: {
    web: { address: "10.1.0.2", egress: ["dns"] },
    db: { address: "10.1.0.3", ingress: ["none"], audits: [{ policy: "plan", tier: "db", ingress: ["none"] }] },
  },
  policies: { none: {}, dns: { egress: [{ peers: "any", ports: [{ protocol: "UDP", port: 53 }] }] } },
});
const PACKET: LoggedPacket = {
  chain: "TW-DROP", source: "10.9.0.9", destination: "10.1.0.3", protocol: "TCP", port: 80, sourcePort: 40_000,
};

function line(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({
    "oob.prefix": "TW-DROP", "ip.protocol": 6, src_ip: "10.9.0.9", dest_ip: "10.1.0.3", src_port: 40_000, dest_port: 80,
    ...fields,
  });
}

describe("a line of ulogd", () => {
  const cases: readonly (readonly [string, string, Partial<LoggedPacket> | undefined])[] = [
    ["TCP", line({}), PACKET],
    ["IPv6", line({ src_ip: "fd00::1", dest_ip: "fd00::2" }), { source: "fd00::1", destination: "fd00::2" }],
    ["ICMPv6 has no port", line({ "ip.protocol": 58, dest_port: undefined }), { protocol: "ICMP", port: undefined }],
    ["a protocol without a name", line({ "ip.protocol": 47 }), { protocol: "47" }],
    ["no prefix", line({ "oob.prefix": undefined }), undefined],
    ["no addresses", line({ src_ip: undefined }), undefined],
    ["cut short", line({}).slice(0, 40), undefined],
    ["no object", "[]", undefined],
  ];
  for (const [name, text, expected] of cases) {
    it(name, () => {
      const packet = parseLoggedPacket(text);
      if (expected === undefined) assert.equal(packet, undefined);
      else assert.partialDeepStrictEqual(packet, expected);
    });
  }
});

describe("what is said of a packet", () => {
  const subjects = auditSubjects(STATE.pods.values());
  const cases: readonly (readonly [string, Partial<LoggedPacket>, readonly LogFields[]])[] = [
    ["a drop on the way in", {}, [
      { direction: "Ingress", policies: ["none"], pod: "default/db", peer: "10.9.0.9", protocol: "TCP", port: 80 },
    ]],
    ["a drop on the way out", { source: "10.1.0.2", destination: "10.9.0.9" }, [
      { direction: "Egress", policies: ["dns"], pod: "default/web", peer: "10.9.0.9", protocol: "TCP", port: 80 },
    ]],
    ["both ends refuse it", { source: "10.1.0.2" }, [
      { direction: "Egress", policies: ["dns"], pod: "default/web", peer: "10.1.0.3", protocol: "TCP", port: 80 },
      { direction: "Ingress", policies: ["none"], pod: "default/db", peer: "10.1.0.2", protocol: "TCP", port: 80 },
    ]],
    ["an address of nobody", { destination: "10.1.0.99" }, [
      { policies: [], pod: "10.1.0.99", peer: "10.9.0.9", protocol: "TCP", port: 80 },
    ]],
    ["an audit", { chain: recordChain(PLAN) }, [
      { direction: "Ingress", policies: ["plan"], tier: "db", pod: "default/db", peer: "10.9.0.9", protocol: "TCP", port: 80 },
    ]],
    ["an audit that is over", { chain: "TW-AR0000000000000000" }, []],
  ];
  for (const [name, change, expected] of cases) {
    it(name, () => {
      const said = reportsOf({ ...PACKET, ...change }, STATE, subjects);
      assert.deepEqual(said.map(({ fields }) => fields), expected);
    });
  }
});

describe("PacketLog", () => {
  it("listens only while there is something to hear, and says no more than it may", async () => {
    const said: string[] = [];
    const listeners: AbortSignal[] = [];
    const listen: Listen = async (onLine, signal) => {
      listeners.push(signal);
      for (let count = 0; count < 5; count += 1) onLine(line({}));
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    };
    const keep = (message: string) => void said.push(message);
    const log = { info: keep, warn: keep, error: keep };
    const packets = new PacketLog({ listen, log, clock: SYSTEM_CLOCK, random: Math.random });
    const stop = new AbortController();
    const running = packets.run(stop.signal);
    packets.follow(nodeState({}), { logDrops: "Audit", logPerSecond: 3 });
    await SYSTEM_CLOCK.sleep(10, stop.signal);
    assert.equal(listeners.length, 0, "nobody audits");
    packets.follow(STATE, { logDrops: "All", logPerSecond: 3 });
    await SYSTEM_CLOCK.sleep(10, stop.signal);
    assert.deepEqual(said, ["packet dropped", "packet dropped", "packet dropped"]);
    packets.follow(undefined, { logDrops: "All", logPerSecond: 3 });
    await SYSTEM_CLOCK.sleep(10, stop.signal);
    assert.deepEqual(listeners.map(({ aborted }) => aborted), [true]);
    stop.abort();
    await running;
  });

  it("gives so many a second", () => {
    let now = 0;
    const allowance = new Allowance(() => now);
    const taken = (count: number) => Array.from({ length: count }, () => allowance.take(2)).filter(Boolean).length;
    assert.equal(taken(5), 2);
    now = 999;
    assert.equal(taken(5), 0);
    now = 1_000;
    assert.equal(taken(5), 2);
  });
});

describe("counts", () => {
  const saved = (drops: number, audits: number) => [
    "*filter",
    ":TW-DROP - [0:0]",
    "[7:420] -A TW-DROP -m limit --limit 5/sec -j NFLOG --nflog-prefix TW-DROP --nflog-group 9475 --nflog-size 128",
    `[${drops}:60] -A TW-DROP -j DROP`,
    "[9:9] -A FORWARD -j TW-FWD",
    `[${audits}:60] -A ${recordChain(PLAN)} -j RETURN`,
    "COMMIT",
  ].join("\n");

  it("are those of each chain's last rule, summed over the tables", () => {
    const reached = [parseReached(saved(3, 4)), parseReached(saved(10, 20))];
    const counts = packetCounts(reached, auditSubjects(STATE.pods.values()));
    assert.deepEqual(counts, { dropped: 13, wouldDrop: [{ ...PLAN, packets: 24 }] });
  });

  it("are told in the text format of Prometheus", () => {
    const counts = { dropped: 13, wouldDrop: [{ ...PLAN, tier: 'a"b', packets: 24 }] };
    const text = metricsText({ counts, rules: { ipv4: 5, ipv6: 6 }, sets: 7, ready: true });
    const samples = text.split("\n").filter((each) => !each.startsWith("#"));
    assert.deepEqual(samples, [
      "tierwall_dropped_packets_total 13",
      'tierwall_would_drop_packets_total{policy="plan",tier="a\\"b",direction="Ingress"} 24',
      'tierwall_rules{family="ipv4"} 5',
      'tierwall_rules{family="ipv6"} 6',
      "tierwall_sets 7",
      "tierwall_enforcing 1",
      "",
    ]);
  });
});
