import assert from "node:assert/strict";
import type { EnforcerSettings } from "../../operator/api/enforcer-settings.ts";
import { EnforcedNode, type LogLine, until } from "./enforced-node.ts";
import { HOSTS, pods } from "./enforcer-cases.ts";
import type { AuditDraft, StateDraft } from "./enforcer-state.ts";

const [WEB] = HOSTS.web;
/** Ports of `db`: the first answers, the other refuses; a packet that is dropped gets neither. */
const [OPEN, SHUT] = [80, 81];
const COUNTER = 'tierwall_would_drop_packets_total{policy="plan",tier="db",direction="Ingress"}';

/** `db` is audited, and enforced by the policies of `ingress`. */
function audited(audit: Omit<AuditDraft, "policy">, ingress: readonly string[] = []): StateDraft {
  return {
    pods: pods({ db: { ingress, audits: [{ policy: "plan", tier: "db", ...audit }] } }),
    policies: {
      plan: {},
      web: { ingress: [{ peers: [{ cidr: `${WEB}/32` }], ports: [{ protocol: "TCP", port: OPEN }] }] },
    },
  };
}

/** `db` is enforced as it would be audited by `audited({ ingress: ["web"] })`. */
const ENFORCED: StateDraft = { ...audited({}), pods: pods({ db: { ingress: ["web"] } }) };

for (const backend of ["nft", "legacy"] as const) {
  describe(`a policy that is only tried out: ${backend}`, function () {
    this.timeout(60_000);
    let node: EnforcedNode;
    let generation = 0;

    async function started(settings: Partial<EnforcerSettings> = {}): Promise<void> {
      node = await EnforcedNode.create();
      await node.startOperator({ backend, ...settings });
      node.start();
    }

    async function enforce(state: StateDraft): Promise<void> {
      generation += 1;
      await node.enforce(state, generation);
    }

    async function wouldDrop(): Promise<number | undefined> {
      return (await node.metrics()).get(COUNTER);
    }

    function said(message: string): readonly LogLine[] {
      return node.log.filter((line) => line.message === message);
    }

    describe("as the settings are at first", () => {
      before(() => started());
      after(() => node.remove());

      it("drops nothing, counts what it would drop, and says whom that concerns", async () => {
        await enforce(audited({ ingress: ["plan"] }));
        assert.equal(await node.probe(OPEN), "open");
        assert.equal(await wouldDrop(), 1, "a connection counts once, whatever it sends");
        const line = await node.untilSaid(/would be dropped/, () => node.probe(OPEN));
        const { timestamp, ...rest } = line;
        assert.ok(typeof timestamp === "string");
        assert.deepEqual(rest, {
          level: "info",
          message: "packet would be dropped",
          direction: "Ingress",
          policies: ["plan"],
          tier: "db",
          pod: "default/db",
          peer: WEB,
          protocol: "TCP",
          port: OPEN,
        });
      });

      it("counts nothing that another policy of the pod allows, be it dormant", async () => {
        await enforce(audited({ ingress: ["plan", "web"] }));
        const before = (await wouldDrop()) ?? 0;
        assert.equal(await node.probe(OPEN), "open");
        assert.equal(await wouldDrop(), before);
        assert.equal(await node.probe(SHUT), "refused");
        assert.equal(await wouldDrop(), before + 1);
      });

      it("leaves what is enforced on the same pod as it is, and counts nothing of what that drops", async () => {
        await enforce(audited({ ingress: ["plan", "web"] }, ["web"]));
        const before = (await wouldDrop()) ?? 0;
        assert.deepEqual([await node.probe(OPEN), await node.probe(SHUT)], ["open", "dropped"]);
        assert.equal(await wouldDrop(), before);
        assert.ok(((await node.metrics()).get("tierwall_dropped_packets_total") ?? 0) > 0);
        assert.deepEqual(said("packet dropped"), [], "drops are logged where the settings say so");
      });

      it("loses no allowed packet on the way from enforced to tried out and back", async () => {
        await enforce(ENFORCED);
        const outcomes = await node.probeWhile(async () => {
          await enforce(audited({ ingress: ["web"] }));
          await enforce(ENFORCED);
          await enforce(audited({ ingress: ["plan"] }));
          await enforce(ENFORCED);
        });
        assert.ok(outcomes.length > 80, `${outcomes.length} probes`);
        assert.deepEqual(new Set(outcomes), new Set(["open"]));
        assert.equal(await node.probe(SHUT), "dropped");
      });

      it("stops listening when nothing is tried out any more, and leaves no chain of it", async () => {
        await enforce({ pods: pods({}) });
        const readers = () => node.network.inNode("sh", "-c", "ip netns pids $(ip netns identify) | xargs ps -o comm= -p");
        await until("the reader's end", async () => (await readers()).includes("ulogd") ? undefined : true);
        await until("the sweep", async () => /:TW-A/.test(await node.rules(`iptables-${backend}`)) ? undefined : true);
      });
    });

    describe("with every drop logged", () => {
      before(() => started({ logDrops: "All", logPerSecond: 3 }));
      after(() => node.remove());

      it("says which policies did not allow a packet", async () => {
        await enforce(ENFORCED);
        const { policies, pod, peer, port } = await node.untilSaid(/packet dropped/, () => node.probe(SHUT));
        assert.deepEqual([policies, pod, peer, port], [["web"], "default/db", WEB, SHUT]);
      });

      it("says no more than it may in a second, and counts all", async () => {
        const counted = async () => (await node.metrics()).get("tierwall_dropped_packets_total") ?? 0;
        const [lines, packets] = [said("packet dropped").length, await counted()];
        const start = performance.now();
        await Promise.all(Array.from({ length: 60 }, () => node.probe(SHUT)));
        const seconds = (performance.now() - start) / 1_000;
        assert.ok((await counted()) - packets >= 60);
        assert.ok(said("packet dropped").length - lines <= 3 * (Math.ceil(seconds) + 1));
      });
    });

    it("logs nothing where that is turned off, and counts all the same", async () => {
      await started({ logDrops: "None" });
      try {
        await enforce(audited({ ingress: ["plan"] }));
        assert.equal(await node.probe(OPEN), "open");
        assert.equal(await wouldDrop(), 1);
        assert.doesNotMatch(await node.rules(`iptables-${backend}`), /NFLOG/);
      } finally {
        await node.remove();
      }
    });
  });
}
