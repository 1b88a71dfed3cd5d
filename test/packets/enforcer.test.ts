import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Applied } from "../../operator/enforcer/node-firewall.ts";
import { CASES, HOSTS, pods, TCP_PORTS, UDP_PORTS } from "./enforcer-cases.ts";
import type { FirewallOrder } from "./enforcer-host.ts";
import type { Worker } from "./enforcer-network.ts";
import { ScratchNetwork } from "./enforcer-network.ts";
import type { Order, Outcome } from "./enforcer-prober.ts";
import type { StateDraft } from "./enforcer-state.ts";

type Host = keyof typeof HOSTS;

const PROBER = fileURLToPath(new URL("enforcer-prober.ts", import.meta.url));
const FIREWALL = fileURLToPath(new URL("enforcer-host.ts", import.meta.url));
const [DB] = HOSTS.db;
const [WEB] = HOSTS.web;

describe("the enforcer's firewall, with real packets", function () {
  this.timeout(60_000);
  let network: ScratchNetwork;
  let firewall: Worker;
  const hosts = new Map<Host, Worker>();

  before(async () => {
    network = await ScratchNetwork.create(HOSTS);
    for (const host of Object.keys(HOSTS) as Host[]) {
      const worker = await network.worker(host, PROBER);
      hosts.set(host, worker);
      for (const port of TCP_PORTS) await tell(host, { do: "listen", protocol: "TCP", port });
      for (const port of UDP_PORTS) await tell(host, { do: "listen", protocol: "UDP", port });
    }
    // Somebody else's rules, which must stay as they are.
    await network.inNode("iptables-nft", "-A", "FORWARD", "-m", "mark", "--mark", "0x4000/0x4000", "-j", "ACCEPT");
    firewall = await startFirewall();
  });

  after(async () => await network.remove());

  describe("verdicts", () => {
    for (const { name, state, probes } of CASES) {
      it(name, async () => {
        await apply(state);
        const found = await Promise.all(probes.map(async ([from, protocol, host, port]) => {
          return [from, protocol, host, port, await tell(from, { do: "probe", protocol, host, port })];
        }));
        assert.deepEqual(found, probes);
        assert.equal((await command({ do: "verify", state })).wrote, false, "the kernel prints what was written");
      });
    }
  });

  it("a pod reaches itself through an address that comes back to it", async () => {
    const service = "10.99.0.1";
    await network.inNode("iptables-nft", "-t", "nat", "-A", "PREROUTING", "-d", service, "-j", "DNAT", "--to", DB);
    await network.inNode("iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-s", DB, "-d", DB, "-j", "MASQUERADE");
    await apply({ pods: pods({ db: { ingress: ["deny"], egress: ["deny"] } }), policies: { deny: {} } });
    const probe = { do: "probe", protocol: "TCP", host: service, port: 80 } as const;
    assert.equal(await tell("db", probe), "open");
    assert.equal(await tell("web", probe), "dropped");
  });

  it("a pod and its own node always reach each other", async () => {
    await apply({ pods: pods({ db: { ingress: ["deny"], egress: ["deny"] } }), policies: { deny: {} } });
    const node = await network.worker("node", PROBER);
    assert.equal(await node.order({ do: "probe", protocol: "TCP", host: DB, port: 80 } satisfies Order), "open");
    assert.equal(await tell("db", { do: "probe", protocol: "TCP", host: "169.254.1.1", port: 9 }), "refused");
  });

  describe("established connections", () => {
    const open: StateDraft = { pods: pods({}) };
    const rule = (peers: readonly string[]): StateDraft => ({
      pods: pods({ db: { ingress: ["db"] } }),
      policies: { db: { ingress: [{ peers: ["peers"] }] } },
      peers: { peers },
    });
    const cases: readonly (readonly [string, StateDraft, StateDraft, Outcome])[] = [
      ["cut when a policy comes", open, rule([]), "dropped"],
      ["kept when a policy comes that allows them", open, rule([WEB]), "open"],
      ["cut when the peer leaves", rule([WEB]), rule([HOSTS.job[0]]), "dropped"],
      ["kept when a peer joins", rule([WEB]), rule([WEB, HOSTS.job[0]]), "open"],
      ["kept when another peer leaves", rule([WEB, HOSTS.job[0]]), rule([WEB]), "open"],
      ["kept when the policy goes", rule([WEB]), open, "open"],
    ];
    for (const [name, before, after, outcome] of cases) {
      it(name, async () => {
        await apply(before);
        const connection = { host: DB, port: 80 };
        assert.equal(await tell("web", { do: "connect", ...connection }), "open");
        assert.equal(await tell("web", { do: "echo", ...connection }), "open");
        await apply(after);
        assert.equal(await tell("web", { do: "echo", ...connection }), outcome);
      });
    }

    it("cut for the server too, once the client has spoken", async () => {
      await apply(rule([WEB]));
      const connection = { host: DB, port: 81 };
      await tell("web", { do: "connect", ...connection });
      const hearsPush = async (): Promise<Outcome> => {
        const heard = tell("web", { do: "hear", ...connection });
        await tell("db", { do: "push", port: connection.port });
        return await heard;
      };
      assert.equal(await hearsPush(), "open");
      await apply(rule([]));
      assert.equal(await tell("web", { do: "echo", ...connection }), "dropped");
      assert.equal(await hearsPush(), "dropped");
    });

    it("judged again when another pod takes over the server's address", async () => {
      const held = (uid: string): StateDraft => ({
        pods: pods({ db: { uid, ingress: ["all"] } }),
        policies: { all: { ingress: [{ peers: "any" }] } },
      });
      await apply(held("old"));
      const before = await generation();
      await apply(held("new"));
      assert.notEqual(await generation(), before);
    });
  });

  describe("a restart", () => {
    const state = CASES.find(({ name }) => name.startsWith("an exception"))?.state ?? {};

    it("writes nothing when nothing changed", async () => {
      await apply(state);
      const before = await ours();
      await restart();
      assert.equal(await ours(), before, "before the first state");
      assert.equal((await apply(state)).wrote, false);
      assert.equal(await ours(), before, "after the first state");
    });

    it("writes the difference and a new generation when something changed", async () => {
      await apply(state);
      const before = await generation();
      await restart();
      const changed = { pods: pods({ db: { ingress: ["deny"] } }), policies: { deny: {} } };
      assert.equal((await apply(changed)).wrote, true);
      assert.notEqual(await generation(), before);
      assert.equal(await tell("remote", { do: "probe", protocol: "TCP", host: DB, port: 80 }), "dropped");
    });

    it("repeats a generation that the one before it did not live to write", async () => {
      const members = (peers: readonly string[]): StateDraft => ({
        pods: pods({ db: { ingress: ["db"] } }),
        policies: { db: { ingress: [{ peers: ["peers"] }] } },
        peers: { peers },
      });
      await apply(members([WEB]));
      const before = await generation();
      const names = (await network.inNode("ipset", "list", "-n")).split("\n");
      const set = names.find((name) => name.startsWith("TW-u")) ?? "";
      await network.inNode("ipset", "del", set, WEB);
      await restart();
      await apply(members([]));
      assert.notEqual(await generation(), before);
    });
  });

  describe("drift", () => {
    const state: StateDraft = { pods: pods({ db: { ingress: ["deny"] } }), policies: { deny: {} } };
    const harms: readonly (readonly [string, readonly string[]])[] = [
      ["a flushed FORWARD", ["iptables-nft", "-F", "FORWARD"]],
      ["a jump that is not first", ["iptables-nft", "-I", "FORWARD", "1", "-j", "ACCEPT"]],
      ["a flushed chain", ["iptables-nft", "-F", "TW-I"]],
      ["an opened chain", ["iptables-nft", "-I", "TW-I", "1", "-j", "ACCEPT"]],
    ];
    for (const [name, harm] of harms) {
      it(`puts right ${name}`, async () => {
        await apply(state);
        await network.inNode(...harm);
        assert.equal(await tell("web", { do: "probe", protocol: "TCP", host: DB, port: 80 }), "open");
        assert.equal((await command({ do: "verify", state })).wrote, true);
        assert.equal(await tell("web", { do: "probe", protocol: "TCP", host: DB, port: 80 }), "dropped");
      });
    }
  });

  it("leaves no chain and no set behind that nothing uses", async () => {
    await apply({ pods: pods({}) });
    await command({ do: "verify", state: { pods: pods({}) } });
    assert.equal(await network.inNode("ipset", "list", "-n"), "");
    assert.deepEqual(
      (await network.inNode("iptables-nft-save", "-t", "filter")).match(/^:TW-\S+/gm),
      [":TW-DROP", ":TW-E", ":TW-EST", ":TW-FWD", ":TW-I", ":TW-STATE"],
    );
  });

  function tell(host: Host, order: Order): Promise<Outcome> {
    const worker = hosts.get(host);
    assert.ok(worker);
    return worker.order(order);
  }

  async function command(order: FirewallOrder): Promise<Applied> {
    const outcome = await firewall.order<Applied & { readonly error?: string }>(order);
    assert.equal(outcome?.error, undefined);
    return outcome;
  }

  function apply(state: StateDraft): Promise<Applied> {
    return command({ do: "apply", state });
  }

  async function startFirewall(): Promise<Worker> {
    const worker = await network.worker("node", FIREWALL);
    const { error } = await worker.order<{ readonly error?: string }>({ do: "prepare" });
    assert.equal(error, undefined);
    return worker;
  }

  async function restart(): Promise<void> {
    await firewall.stop("SIGKILL");
    firewall = await startFirewall();
  }

  async function generation(): Promise<string | undefined> {
    return (await network.inNode("iptables-nft-save", "-t", "filter")).match(/--set-xmark (?!0xffff0000)(\S+)/)?.[1];
  }

  /** Everything of ours, as the kernel's tools print it. */
  async function ours(): Promise<string> {
    const rules = await network.inNode("iptables-nft-save", "-t", "filter");
    const sets = await network.inNode("ipset", "save");
    return [...rules.split("\n").filter((line) => !line.startsWith("#")), ...sets.split("\n").toSorted()].join("\n");
  }
});
