import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Worker } from "./enforcer-network.ts";
import { ScratchNetwork } from "./enforcer-network.ts";
import type { Look, LookOrder } from "./host-look.ts";

const LOOK = fileURLToPath(new URL("host-look.ts", import.meta.url));
const ROUTED = "10.77.0.2";
const BRIDGED = "10.78.0.9";

describe("what an enforcer finds out about its node", function () {
  this.timeout(20_000);
  let network: ScratchNetwork;
  let worker: Worker;

  before(async () => {
    network = await ScratchNetwork.create({ web: [ROUTED] });
    await set("net.ipv4.conf.all.rp_filter", "0");
    await set("net.ipv4.conf.to-web.rp_filter", "1");
    worker = await network.worker("node", LOOK);
  });

  after(async () => await network.remove());

  it("a routed pod whose source address is checked is fine", async () => {
    assert.deepEqual(await look(ROUTED), { bridged: false, findings: [] });
  });

  for (const [all, own, forgeable] of [["0", "0", true], ["0", "2", true], ["2", "1", true], ["1", "0", false]] as const) {
    it(`rp_filter ${own} on the pod's interface and ${all} for all: ${forgeable ? "said" : "fine"}`, async () => {
      await set("net.ipv4.conf.all.rp_filter", all);
      await set("net.ipv4.conf.to-web.rp_filter", own);
      const { findings } = await look(ROUTED);
      assert.deepEqual(findings, forgeable ? [["SourcesForgeable", true]] : []);
      await set("net.ipv4.conf.all.rp_filter", "0");
      await set("net.ipv4.conf.to-web.rp_filter", "1");
    });
  }

  it("a bridge without pods does not matter", async () => {
    await network.inNode("ip", "link", "add", "br0", "type", "bridge");
    await network.inNode("ip", "link", "set", "br0", "up");
    await network.inNode("ip", "address", "add", "10.78.0.1/24", "dev", "br0");
    await network.inNode("ip", "address", "add", "fd00:78::1/64", "dev", "br0", "nodad");
    // A bridge without a port that is up has no carrier, and so does not run.
    await network.inNode("ip", "link", "add", "port", "type", "veth", "peer", "name", "pod");
    await network.inNode("ip", "link", "set", "port", "master", "br0", "up");
    await network.inNode("ip", "link", "set", "pod", "up");
    await filtered("0", "0");
    assert.deepEqual(await look(ROUTED), { bridged: false, findings: [] });
  });

  const cases: readonly (readonly [string, string, string, readonly string[], Look["findings"]])[] = [
    ["filtered in both families", "1", "1", [BRIDGED, "fd00:78::9"], []],
    ["not filtered in IPv4", "0", "1", [BRIDGED, "fd00:78::9"], [["BridgeNotFiltered", false]]],
    ["not filtered in IPv6, with pods that have it", "1", "0", [BRIDGED, "fd00:78::9"], [["BridgeNotFiltered", false]]],
    ["not filtered in IPv6, with pods that have link-local addresses alone", "1", "0", [BRIDGED], [["BridgeNotFiltered", false]]],
    ["filtered in both families, with pods that have IPv4 alone", "1", "1", [BRIDGED], []],
  ];
  for (const [name, ipv4, ipv6, pods, findings] of cases) {
    it(`a bridge with pods, ${name}`, async () => {
      await filtered(ipv4, ipv6);
      assert.deepEqual(await look(...pods), { bridged: true, findings });
    });
  }

  it("a bridge that has no IPv6 of its own carries that of its pods all the same", async () => {
    await filtered("1", "0");
    await set("net.ipv6.conf.br0.disable_ipv6", "1");
    assert.deepEqual(await look(BRIDGED), { bridged: true, findings: [["BridgeNotFiltered", false]] });
    await set("net.ipv6.conf.br0.disable_ipv6", "0");
    await filtered("1", "1");
  });

  it("kube-proxy in IPVS mode, by the interface that it makes", async () => {
    await network.inNode("ip", "link", "add", "kube-ipvs0", "type", "bridge");
    assert.deepEqual((await look(ROUTED)).findings, [["IpvsMode", false]]);
    await network.inNode("ip", "link", "delete", "kube-ipvs0");
    assert.deepEqual((await look(ROUTED)).findings, []);
  });

  function look(...pods: readonly string[]): Promise<Look> {
    return worker.order<Look>({ pods } satisfies LookOrder);
  }

  async function set(name: string, value: string): Promise<void> {
    await network.inNode("sysctl", "-qw", `${name}=${value}`);
  }

  async function filtered(ipv4: string, ipv6: string): Promise<void> {
    await set("net.bridge.bridge-nf-call-iptables", ipv4);
    await set("net.bridge.bridge-nf-call-ip6tables", ipv6);
  }
});
