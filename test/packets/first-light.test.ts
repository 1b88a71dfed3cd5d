import assert from "node:assert/strict";

import { Lab } from "../lab/lab.ts";
import type { Hold, Result } from "../lab/prober.ts";
import { waitFor } from "../lab/wait.ts";
import { enforcersReady, install, podsOf, policyReady, SYSTEM } from "./installation.ts";
import {
  allowed, database, denied, everyone, kept, members, NAMESPACES, NODES, policy, SERVED, shop, STRANGER, tcp, type Tiers, udp,
  watched, withoutDatabase,
} from "./shop.ts";
import { nameOf, place, Vigil, type Pair } from "./vigil.ts";

describe("one SegmentPolicy, on packets", function () {
  this.timeout(180_000);
  let lab: Lab;

  before(async () => {
    lab = await Lab.start({ nodes: 2 });
    await install(lab);
    await lab.apply(
      [...NAMESPACES, "other"].map((name) => ({
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name, ...(name !== "other" && { labels: { "tierwall.io/segment": "shop" } }) },
      })),
    );
    await Promise.all([
      ...members.map(({ namespace, tier, node }) => start(namespace, `${tier}-${node}`, tier, node)),
      start("other", "stranger", "stranger", "1"),
    ]);
    await Promise.all([...NAMESPACES, "other"].map((namespace) => lab.podsReady(namespace)));
  });
  after(() => lab.stop());

  function start(namespace: string, name: string, tier: string, node: string): Promise<void> {
    return lab.workload({ namespace, name, labels: { tier }, node: `node-${node}`, tcp: SERVED, udp: SERVED });
  }

  /** Probes every pair of pods on every port and protocol once. @returns those that came out otherwise */
  async function surprises(
    expected: (pair: Pair) => boolean,
    clients = everyone,
    servers = everyone,
  ): Promise<readonly string[]> {
    const rows = await Promise.all(
      clients.map(async (client) => {
        const prober = await lab.prober(...place(client));
        const pairs = servers.flatMap((server) =>
          SERVED.flatMap((port) => [tcp(client, server, port), udp(client, server, port)]),
        );
        const results = await Promise.all(
          pairs.map(async (pair) => {
            const { result } = await prober.probe({
              to: await address(pair.server),
              port: pair.port,
              protocol: pair.protocol,
              timeoutMs: 900,
            });
            return { pair, result };
          }),
        );
        await prober.stop();
        const wrong = ({ pair, result }: { pair: Pair; result: Result }) => (result === "open") !== expected(pair);
        return results.filter(wrong).map(({ pair, result }) => `${nameOf(pair)} is ${result}`);
      }),
    );
    return rows.flat();
  }

  const addresses = new Map<string, Promise<string>>();
  function address(name: string): Promise<string> {
    const known = addresses.get(name) ?? lab.podIP(...place(name));
    addresses.set(name, known);
    return known;
  }

  async function long(pair: Pair): Promise<Hold> {
    const prober = await lab.prober(...place(pair.client));
    const hold = await prober.hold({ to: await address(pair.server), port: pair.port, protocol: "tcp" });
    await waitFor(`${nameOf(pair)} carrying data`, async () => ((await hold.look()).echoes > 3 ? true : undefined), {
      timeoutMs: 5_000,
    });
    return hold;
  }

  async function put(tiers: Tiers): Promise<void> {
    await lab.apply(policy(tiers));
    await policyReady(lab, "shop");
  }

  it("before: everything is open", async () => {
    assert.deepEqual(await surprises(() => true), []);
  });

  it("apply: nothing allowed is lost on the way, and what is denied is dropped once the policy is Ready", async () => {
    const vigil = await Vigil.start(lab, watched);
    const hold = await long(tcp("shop-dev/frontend-1", "shop-dev/backend-2", 8080));
    await pause(500);
    const applied = vigil.mark("kubectl apply");
    await put(shop);
    const inForce = vigil.mark("Ready");
    await pause(1_000);
    const report = await vigil.stop();
    tell(report.summary, `Ready ${Math.round(inForce - applied)} ms after the apply began`);
    report.assertAll([...kept, ...database], "open");
    report.assertAll(denied, "open", { to: applied - 1 });
    report.assertAll(denied, "dropped", { from: inForce });
    assert.ok((await hold.release()).open, "a long connection that is allowed goes on");
  });

  it("after: every pair of pods, port and protocol is as the policy says", async () => {
    assert.deepEqual(await surprises(allowed), []);
  });

  it("default-deny: a pod of no tier talks to nobody, but DNS answers over UDP and TCP", async () => {
    await start("shop-dev", "misfit", "none", "2");
    await lab.podsReady("shop-dev");
    await waitFor(
      "the misfit being isolated",
      async () =>
        (await surprises(() => false, ["shop-dev/misfit"], ["shop-dev/db-1"])).length === 0 ? true : undefined,
      { timeoutMs: 10_000 },
    );
    assert.deepEqual(
      await surprises(({ client, server }) => client === server, ["shop-dev/misfit"], [...everyone, "shop-dev/misfit"]),
      [],
    );
    assert.deepEqual(await surprises(() => false, [STRANGER, "shop-dev/frontend-1"], ["shop-dev/misfit"]), []);
    for (const name of ["shop-dev/misfit", "shop-prod/frontend-1"]) {
      const prober = await lab.prober(...place(name));
      for (const protocol of ["udp", "tcp"] as const) {
        const answer = await prober.resolve({
          server: "10.96.0.10",
          name: "kubernetes.default.svc.cluster.local",
          protocol,
        });
        assert.deepEqual(answer, ["10.96.0.1"], `${name} over ${protocol}`);
      }
      await prober.stop();
    }
    await remove("shop-dev", "misfit");
  });

  for (const node of NODES) {
    it(`a pod started later on node ${node} is reached by its peers and by nobody else; deleted, it takes nobody with it`, async () => {
      const vigil = await Vigil.start(lab, watched);
      const name = `shop-prod/backend-late${node}`;
      vigil.mark("pod created");
      await start("shop-prod", `backend-late${node}`, "backend", node);
      await lab.podsReady("shop-prod");
      const clients = ["shop-prod/frontend-1", "shop-prod/frontend-2", "shop-dev/frontend-1", STRANGER];
      const wanted = (pair: Pair) =>
        allowed({ ...pair, server: pair.server.replace(/late\d/, node), client: pair.client.replace(/late\d/, node) });
      await waitFor(
        "the late pod being in its tier",
        async () => ((await surprises(wanted, clients, [name])).length === 0 ? true : undefined),
        { timeoutMs: 10_000 },
      );
      assert.deepEqual(
        await surprises(
          (pair) => (pair.client !== pair.server ? wanted(pair) : true),
          [name],
          everyone.filter((other) => !other.includes("backend")),
        ),
        [],
      );
      vigil.mark("pod deleted");
      await remove("shop-prod", `backend-late${node}`);
      await pause(500);
      const report = await vigil.stop();
      tell(report.summary);
      report.assertAll([...kept, ...database], "open");
      report.assertAll(denied, "dropped");
    });
  }

  it("a label that changes moves the pod out of its tier, and back", async () => {
    const lost = [
      tcp("shop-dev/backend-1", "shop-dev/db-2", 5432),
      tcp("shop-dev/frontend-2", "shop-dev/backend-1", 8080),
    ];
    const vigil = await Vigil.start(lab, [
      ...kept.filter(({ server }) => server !== "shop-dev/backend-1"),
      ...denied,
      ...lost,
    ]);
    await pause(300);
    const moved = vigil.mark("label taken away");
    await lab.get(["-n", "shop-dev", "label", "pod", "backend-1", "tier=retired", "--overwrite"]);
    await pause(1_500);
    const back = vigil.mark("label given back");
    await lab.get(["-n", "shop-dev", "label", "pod", "backend-1", "tier=backend", "--overwrite"]);
    await pause(1_500);
    const report = await vigil.stop();
    tell(report.summary);
    report.assertAll(
      kept.filter(({ server }) => server !== "shop-dev/backend-1"),
      "open",
    );
    report.assertAll(denied, "dropped");
    report.assertAll(lost, "open", { to: moved - 1 });
    // The bound for a peer that leaves is one second.
    report.assertAll(lost, "dropped", { from: moved + 1_000, to: back - 1 });
    report.assertAll(lost, "open", { from: back + 1_000 });
  });

  it("an edit cuts what it takes away, open connections too, and nothing else", async () => {
    const vigil = await Vigil.start(lab, watched);
    const [cut, stays] = await Promise.all([
      long(tcp("shop-dev/backend-2", "shop-dev/db-1", 5432)),
      long(tcp("shop-dev/frontend-1", "shop-dev/backend-2", 8080)),
    ]);
    const edited = vigil.mark("edit");
    await put(withoutDatabase);
    const inForce = vigil.mark("Ready");
    await pause(1_000);
    const report = await vigil.stop();
    const life = await cut.release();
    tell(report.summary, `the open connection fell silent ${Math.round(life.lastEchoAtMs - edited)} ms after the edit`);
    report.assertAll(kept, "open");
    report.assertAll(denied, "dropped");
    report.assertAll(database, "open", { to: edited - 1 });
    report.assertAll(database, "dropped", { from: inForce });
    assert.ok(life.lastEchoAtMs <= inForce, "the open connection is cut by the time the policy is Ready");
    assert.ok((await stays.release()).open, "a connection that stays allowed goes on");
    await put(shop);
  });

  it("operator and enforcers killed with -9 and restarted: not one wrong packet, and the next edit holds", async () => {
    const vigil = await Vigil.start(lab, watched);
    const hold = await long(tcp("shop-dev/backend-2", "shop-dev/db-1", 5432));
    for (const app of ["tierwall-enforcer", "tierwall-operator"]) {
      for (const pod of await podsOf(lab, app)) {
        vigil.mark(`before kill -9 of ${pod}`);
        await lab.killContainer(SYSTEM, pod);
        vigil.mark(`after kill -9 of ${pod}`);
        await pause(1_500);
      }
    }
    await enforcersReady(lab);
    await lab.get(["-n", SYSTEM, "rollout", "status", "deployment/tierwall-operator", "--timeout=90s"]);
    await pause(1_000);
    vigil.mark("everything restarted");
    const report = await vigil.stop();
    tell(report.summary);
    report.assertAll([...kept, ...database], "open");
    report.assertAll(denied, "dropped");
    assert.ok((await hold.release()).open, "a long connection lives through it");
    await put(withoutDatabase);
    assert.deepEqual(
      await surprises((pair) => allowed(pair) && !(pair.server.includes("/db-") && pair.client !== pair.server)),
      [],
    );
    await put(shop);
  });

  it("deleted: nothing allowed is lost on the way, and everything is open again", async () => {
    const vigil = await Vigil.start(lab, watched);
    await pause(300);
    const deleted = vigil.mark("kubectl delete");
    await lab.get(["delete", "segpol", "shop"]);
    await waitFor(
      "the NetworkPolicies being gone",
      async () => ((await lab.get(["get", "networkpolicies", "-A", "-o=name"])).trim() === "" ? true : undefined),
      { timeoutMs: 30_000 },
    );
    await pause(1_000);
    const open = vigil.mark("open again");
    await pause(500);
    const report = await vigil.stop();
    tell(report.summary);
    report.assertAll([...kept, ...database], "open");
    report.assertAll(denied, "dropped", { to: deleted - 1 });
    report.assertAll(denied, "open", { from: open });
    assert.deepEqual(await surprises(() => true), []);
  });

  async function remove(namespace: string, pod: string): Promise<void> {
    await lab.get(["-n", namespace, "delete", "pod", pod, "--wait"]);
  }
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** For people who read the test's output: how much was looked at. */
function tell(...lines: readonly string[]): void {
  for (const line of lines) process.stdout.write(`      ${line}\n`);
}
