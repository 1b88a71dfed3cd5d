import assert from "node:assert/strict";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import type { HostFacts } from "../../../operator/enforcer/host.ts";
import { UNKNOWN_HOST } from "../../../operator/enforcer/host.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { type Applied, NodeFirewall, type NodeSettings } from "../../../operator/enforcer/node-firewall.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { PacketWalk } from "./packet-walk.ts";

const SETTINGS: NodeSettings = { ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: [] };
const ROUTED: HostFacts = { ...UNKNOWN_HOST };
const BRIDGED: HostFacts = { ...UNKNOWN_HOST, bridged: true };
const FOUR = "10.1.0.5";
const SIX = "fd00::5";

/** A finding's reason, and whether the policies hold all the same. */
type Said = readonly [string, boolean];

/** A pod for each address. */
function podsAt(...addresses: readonly string[]): NodeState {
  return nodeState({ pods: Object.fromEntries(addresses.map((address, index) => [`pod${index}`, { address }])) });
}

describe("NodeFirewall", () => {
  const { signal } = new AbortController();

  function firewallOn(kernel: FakeNetfilter, facts = ROUTED, other = new FakeNetfilter()): NodeFirewall {
    return new NodeFirewall({
      netfilter: (backend) => (backend === "nft" ? kernel : other),
      chooseBackend: async () => "nft",
      host: { look: async () => facts, bridges: async () => facts.bridged },
      monotonic: () => 0,
    });
  }

  function said({ findings }: Applied): readonly Said[] {
    return findings.map(({ reason, holds }) => [reason, holds]);
  }

  it("closes a bridge that a pod brings before the state is said to be in force", async () => {
    const kernel = new FakeNetfilter();
    let facts = ROUTED;
    const host = { look: async () => facts, bridges: async () => facts.bridged };
    const firewall = new NodeFirewall({ netfilter: () => kernel, chooseBackend: async () => "nft", host, monotonic: () => 0 });
    await firewall.prepare(SETTINGS, signal);
    const isolated = (...addresses: readonly string[]) => nodeState({
      pods: Object.fromEntries(addresses.map((address) => [address, { address, ingress: ["none"] }])), policies: { none: {} },
    });
    await firewall.apply(isolated(FOUR), signal);
    assert.equal((await kernel.read("ipv4")).chains.has("TW-WIRE"), false);
    facts = BRIDGED;
    const { wrote } = await firewall.apply(isolated(FOUR, "10.1.0.6"), signal);
    assert.equal(wrote, true);
    assert.equal((await kernel.read("ipv4")).chains.has("TW-WIRE"), true);
  });

  describe("says what the kernel lacks", () => {
    const SLOWER: Said = ["KernelLacksExtensions", true];
    const MUTE: Said = ["PacketsNotLogged", true];
    const cases: readonly (readonly [string, string, HostFacts, readonly string[], readonly Said[]])[] = [
      ["nothing", "nothing", BRIDGED, [FOUR, SIX], []],
      ["connection marks", "CONNMARK", ROUTED, [FOUR, SIX], [SLOWER]],
      ["sets of networks", "hash:net", ROUTED, [FOUR], [SLOWER]],
      ["SCTP", "-m sctp", ROUTED, [FOUR], [SLOWER]],
      ["packet types, routed", "pkttype", ROUTED, [FOUR], [SLOWER]],
      ["packet types, on a bridge", "pkttype", BRIDGED, [FOUR], [["BroadcastsNotFiltered", false], SLOWER]],
      ["the log", "NFLOG", ROUTED, [FOUR], [MUTE]],
      ["limits", "-m limit", BRIDGED, [FOUR], [MUTE]],
      ["IPv6, no pod has it", "icmp6", ROUTED, [FOUR], []],
      ["IPv6, a pod has it", "icmp6", ROUTED, [FOUR, SIX], [["IPv6NotEnforced", false]]],
      ["IPv6, pods of IPv4 on a bridge", "icmp6", BRIDGED, [FOUR], [["IPv6NotEnforced", false]]],
      ["IPv6, and nobody on the machine speaks it", "icmp6", { ...BRIDGED, ipv6: false }, [FOUR], []],
    ];
    for (const [what, word, facts, addresses, expected] of cases) {
      it(what, async () => {
        const kernel = new FakeNetfilter();
        kernel.refuses.push(word);
        const firewall = firewallOn(kernel, facts);
        await firewall.prepare(SETTINGS, signal);
        const state = podsAt(...addresses);
        assert.deepEqual(said(await firewall.apply(state, signal)), expected);
        assert.deepEqual(said(await firewall.verify(state, signal)), expected);
      });
    }

    it("and enforces nothing where it lacks what nothing replaces", async () => {
      const kernel = new FakeNetfilter();
      kernel.refuses.push("conntrack");
      await assert.rejects(firewallOn(kernel).prepare(SETTINGS, signal), { reason: "KernelUnsupported" });
    });
  });

  describe("failClosed", () => {
    const NETS = { four: "10.1.0.0/24", six: "fd00::/64" };
    const REFUSED = /^FailClosedRefused: .* names none in spec.podCIDRs: a new pod is open/;
    const REFUSED_SIX = /^FailClosedRefused: .* names none of IPv6 in .*: the IPv6 addresses of a new pod are open/;
    const REFUSED_FOUR = /^FailClosedRefused: .* names none of IPv4 in /;
    const cases: readonly (readonly [string, readonly string[], readonly string[], readonly RegExp[]])[] = [
      ["no network and no pod", [], [], [REFUSED]],
      ["no network", [], [FOUR, SIX], [REFUSED]],
      ["networks of both families", [NETS.four, NETS.six], [FOUR, SIX], []],
      ["one of IPv4, pods of IPv4", [NETS.four], [FOUR], []],
      ["one of IPv4, a pod of both", [NETS.four], [FOUR, SIX], [REFUSED_SIX]],
      ["one of IPv6, a pod of both", [NETS.six], [FOUR, SIX], [REFUSED_FOUR]],
      ["one of IPv4, no pod", [NETS.four], [], []],
      [
        "a pod outside of the network", [NETS.four, NETS.six], [FOUR, "10.1.1.9", SIX],
        [/^FailClosedIncomplete: .* 10\.1\.1\.9, outside of 10\.1\.0\.0\/24, /],
      ],
      [
        "pods outside of both networks", [NETS.four, NETS.six], ["10.9.0.9", "fd01::9"],
        [/ 10\.9\.0\.9, outside of 10\.1\.0\.0\/24, /, / fd01::9, outside of fd00::\/64, /],
      ],
      ["two networks, a pod in the second", [NETS.four, "10.9.0.0/16"], ["10.9.0.9"], []],
    ];
    for (const [what, podCIDRs, addresses, expected] of cases) {
      it(`says what stays open: ${what}`, async () => {
        const firewall = firewallOn(new FakeNetfilter());
        await firewall.prepare({ ...SETTINGS, failClosed: true, podCIDRs }, signal);
        const { findings } = await firewall.apply(podsAt(...addresses), signal);
        assert.equal(findings.length, expected.length);
        for (const [index, words] of expected.entries()) {
          const finding = findings[index];
          assert.match(`${finding?.reason}: ${finding?.message}`, words);
          assert.equal(finding?.holds, true);
        }
      });
    }

    it("says it when such a pod comes, until it goes, and nothing where it is not asked for", async () => {
      const firewall = firewallOn(new FakeNetfilter());
      await firewall.prepare({ ...SETTINGS, failClosed: true, podCIDRs: [NETS.four] }, signal);
      const odd = podsAt(FOUR, SIX, "10.9.0.9");
      const rounds = [podsAt(FOUR), podsAt(FOUR, "10.9.0.9"), podsAt(FOUR), odd];
      const reasons: (readonly Said[])[] = [];
      for (const state of rounds) reasons.push(said(await firewall.apply(state, signal)));
      const [refused, incomplete]: readonly Said[] = [["FailClosedRefused", true], ["FailClosedIncomplete", true]];
      assert.deepEqual(reasons, [[], [incomplete], [], [incomplete, refused]]);
      await firewall.prepare({ ...SETTINGS, podCIDRs: [] }, signal);
      assert.deepEqual((await firewall.apply(odd, signal)).findings, []);
    });
  });

  describe("failClosed, on another backend than before", () => {
    const CLOSED: NodeSettings = { ...SETTINGS, failClosed: true, podCIDRs: ["10.1.0.0/24"], backend: "nft" };
    const packet = { source: "10.2.0.1", destination: FOUR, protocol: "tcp", port: 80 } as const;
    const isOpen = async (kernel: FakeNetfilter) => new PacketWalk(await kernel.read("ipv4")).of(packet).passes;

    it("closes nothing before the state is in force there", async () => {
      const [nft, legacy] = [new FakeNetfilter(), new FakeNetfilter("legacy")];
      const firewall = firewallOn(nft, ROUTED, legacy);
      await firewall.prepare(CLOSED, signal);
      assert.equal(await isOpen(nft), false, "as long as nobody knows of any pod");
      await firewall.apply(podsAt(FOUR), signal);
      await firewall.prepare({ ...CLOSED, backend: "legacy" }, signal);
      assert.deepEqual([await isOpen(nft), await isOpen(legacy)], [true, true]);
      await firewall.apply(podsAt("10.1.0.6"), signal);
      assert.equal(await isOpen(legacy), false);
    });

    it("nor at a start, where an earlier run has left rules in the first one", async () => {
      const [nft, legacy] = [new FakeNetfilter(), new FakeNetfilter("legacy")];
      const first = firewallOn(nft, ROUTED, legacy);
      await first.prepare(CLOSED, signal);
      await first.apply(podsAt(FOUR), signal);
      await first.sweep(signal);
      const second = firewallOn(nft, ROUTED, legacy);
      await second.prepare({ ...CLOSED, backend: "legacy" }, signal);
      await second.uphold(signal);
      assert.equal(await isOpen(legacy), true);
    });
  });

  describe("says of both families what failed", () => {
    const failing = async (four: unknown, six: unknown): Promise<NodeFirewall> => {
      const kernel = new FakeNetfilter();
      const firewall = firewallOn(kernel);
      await firewall.prepare(SETTINGS, signal);
      kernel.restoreRules = (family) => Promise.reject(family === "ipv4" ? four : six);
      return firewall;
    };

    it("in one error, with both as its cause", async () => {
      const four = new NetfilterError("IptablesMissing", "iptables is not installed");
      const six = new NetfilterError("ApplyFailed", "ip6tables: line 3 failed");
      await assert.rejects((await failing(four, six)).apply(podsAt(FOUR, SIX), signal), (error) => {
        assert.ok(error instanceof NetfilterError && error.cause instanceof AggregateError);
        assert.equal(error.message, "iptables is not installed; ip6tables: line 3 failed");
        assert.equal(error.reason, "IptablesMissing");
        assert.deepEqual(error.cause.errors, [four, six]);
        return true;
      });
    });

    it("once where it is the same", async () => {
      const failure = () => new NetfilterError("IpsetMissing", "ipset is not installed");
      const message = "ipset is not installed";
      await assert.rejects((await failing(failure(), failure())).apply(podsAt(FOUR, SIX), signal), { message });
    });

    it("and takes a mistake of ours for none of the tools'", async () => {
      const mistake = new TypeError("x is not a function");
      const firewall = await failing(mistake, new NetfilterError("ApplyFailed", "line 3 failed"));
      const message = "x is not a function; line 3 failed";
      await assert.rejects(firewall.apply(podsAt(FOUR, SIX), signal), { name: "Error", message });
    });
  });

  describe("where it cannot be told who else uses the connection mark", () => {
    const BROKEN = new NetfilterError("ApplyFailed", "nft list ruleset: exit status 1");
    const marks = async (kernel: FakeNetfilter): Promise<boolean> => {
      return (await kernel.read("ipv4")).hooks.get("FORWARD")?.lines.some((line) => line.includes("connmark")) === true;
    };
    const checks = async (firewall: NodeFirewall): Promise<Applied | undefined> => {
      let applied: Applied | undefined;
      for (let round = 0; round < 12; round += 1) applied = await firewall.verify(podsAt(FOUR), signal);
      return applied;
    };

    it("uses none and says why, until it can be told", async () => {
      const kernel = new FakeNetfilter();
      kernel.foreign = BROKEN;
      const firewall = firewallOn(kernel);
      await firewall.prepare(SETTINGS, signal);
      const applied = await firewall.apply(podsAt(FOUR), signal);
      assert.deepEqual(said(applied), [["ConnmarkUnknown", true]]);
      assert.match(applied.findings[0]?.message ?? "", /\(nft list ruleset: exit status 1\)/);
      assert.equal(await marks(kernel), false);
      kernel.foreign = 0;
      assert.deepEqual((await checks(firewall))?.findings, []);
      assert.equal(await marks(kernel), true);
    });

    it("gives its own up, which somebody may use now", async () => {
      const kernel = new FakeNetfilter();
      const firewall = firewallOn(kernel);
      await firewall.prepare(SETTINGS, signal);
      await firewall.apply(podsAt(FOUR), signal);
      assert.equal(await marks(kernel), true);
      kernel.foreign = BROKEN;
      assert.deepEqual((await checks(firewall))?.findings.map(({ reason }) => reason), ["ConnmarkUnknown"]);
      assert.equal(await marks(kernel), false);
    });
  });

  it("takes the sets of both families away also where the kernel has nothing of one of them", async () => {
    const kernel = new FakeNetfilter();
    await kernel.restoreSets(["inet", "inet6"].map((inet) => `create TW-${inet} hash:ip family ${inet}\n`).join(""));
    const read = kernel.read.bind(kernel);
    kernel.read = async (family) => {
      if (family === "ipv6") throw new NetfilterError("ApplyFailed", "ip6tables-save: Table does not exist");
      return await read(family);
    };
    assert.deepEqual(await firewallOn(kernel).clear(SYSTEM_CLOCK, signal), { chains: 0, sets: 2 });
    assert.equal((await read("ipv4")).sets.size, 0);
  });

  it("sweeps its own rules also where the other backend cannot be read, and says so", async () => {
    const [kernel, other] = [new FakeNetfilter(), new FakeNetfilter()];
    const firewall = firewallOn(kernel, ROUTED, other);
    await firewall.prepare(SETTINGS, signal);
    const isolated = nodeState({ pods: { db: { address: FOUR, ingress: ["db"] } }, policies: { db: {} } });
    await firewall.apply(isolated, signal);
    await firewall.apply(podsAt(FOUR), signal);
    const classes = async () => {
      return [...(await kernel.read("ipv4")).chains.keys()].filter((name) => name.startsWith("TW-CI"));
    };
    assert.equal((await classes()).length, 1);
    other.leftovers = () => Promise.reject(new NetfilterError("ApplyFailed", "iptables-legacy-save: exit status 1"));
    await assert.rejects(firewall.sweep(signal), /iptables-legacy-save/);
    assert.deepEqual(await classes(), []);
  });
});
