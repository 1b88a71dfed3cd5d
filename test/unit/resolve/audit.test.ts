import assert from "node:assert/strict";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import type { PodAudit, PodUid } from "../../../operator/api/node-state.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { namespace, pod, policy } from "./cluster.ts";

const BOTH = ["Ingress", "Egress"];
const DB = { podSelector: { matchLabels: { tier: "db" } }, policyTypes: BOTH };
const ALL = { podSelector: {}, policyTypes: BOTH };
const INGRESS = { podSelector: {}, policyTypes: ["Ingress"] };
const SUBJECT = pod("shop/db", "n1", ["10.0.0.1"], { tier: "db" });

interface World {
  /** What is in the API server. */
  readonly written?: readonly NetworkPolicy[];
  /** By name of the SegmentPolicy, what it would write. */
  readonly audits: Readonly<Record<string, readonly NetworkPolicy[]>>;
  readonly enforce?: "Segments" | "All";
}

function resolve({ written = [], audits, enforce = "Segments" }: World): Resolver {
  const resolver = new Resolver({ enforce });
  resolver.setNamespace(namespace("shop"));
  resolver.setPod(SUBJECT);
  for (const each of written) resolver.setNetworkPolicy(each);
  for (const [name, parts] of Object.entries(audits)) resolver.setAudit(name, parts);
  resolver.takeChanges();
  return resolver;
}

function subject(resolver: Resolver) {
  const local = resolver.nodeState("n1").pods.get("db" as PodUid);
  assert.ok(local);
  return local;
}

/** `<policy>/<tier> in: <ids> out: <ids>` of each audit. */
function told(audits: readonly PodAudit[] | undefined): readonly string[] | undefined {
  return audits?.map(({ policy: name, tier, ingress, egress }) =>
    `${name}/${tier} in: ${ingress.join(" ")} out: ${egress.join(" ")}`);
}

const db = policy("shop/s-db", DB, "s", "db");
const rest = policy("shop/s-default", ALL, "s");
const own = "audit:shop/s-db audit:shop/s-default";

const CASES: readonly (readonly [string, World, readonly string[] | undefined])[] = [
  ["nothing, where nobody audits", { audits: {}, written: [policy("shop/u", INGRESS)] }, undefined],
  ["nothing, for a pod that no part selects",
    { audits: { s: [policy("shop/w", { podSelector: { matchLabels: { tier: "web" } } }, "s", "web")] } }, undefined],
  ["nothing, for a part in another namespace", { audits: { s: [policy("other/s-db", DB, "s", "db")] } }, undefined],
  ["its own parts, all tiers together", { audits: { s: [db, rest] } }, [`s/db in: ${own} out: ${own}`]],
  ["no tier, for a pod that only the default part selects", { audits: { s: [rest] } },
    ["s/ in: audit:shop/s-default out: audit:shop/s-default"]],
  ["the first of several tiers by name", { audits: { s: [db, policy("shop/s-cache", DB, "s", "cache")] } },
    ["s/cache in: audit:shop/s-cache audit:shop/s-db out: audit:shop/s-cache audit:shop/s-db"]],
  ["only the directions that it would isolate", {
    audits: { s: [policy("shop/s-db", { ...DB, policyTypes: ["Egress"] }, "s", "db")] },
    written: [policy("shop/u", INGRESS)],
  }, ["s/db in:  out: audit:shop/s-db"]],
  ["dormant NetworkPolicies of users count", { audits: { s: [db] }, written: [policy("shop/u", INGRESS)] },
    ["s/db in: audit:shop/s-db shop/u out: audit:shop/s-db"]],
  ["and enforced ones, of users and of other segments", {
    audits: { s: [db] }, enforce: "All", written: [policy("shop/u", INGRESS), policy("shop/t-db", DB, "t", "db")],
  }, ["s/db in: audit:shop/s-db shop/t-db shop/u out: audit:shop/s-db shop/t-db"]],
  ["another audit does not: each is judged alone", { audits: { t: [policy("shop/t-all", ALL, "t")], s: [db] } },
    ["s/db in: audit:shop/s-db out: audit:shop/s-db", "t/ in: audit:shop/t-all out: audit:shop/t-all"]],
];

describe("Resolver: what an audit asks", () => {
  for (const [title, world, expected] of CASES) {
    it(title, () => {
      const resolver = resolve(world);
      assert.deepEqual(told(subject(resolver).audits), expected);
      const { policies, peers } = resolver.nodeState("n1");
      for (const { ingress, egress } of subject(resolver).audits ?? []) {
        for (const id of [...ingress, ...egress]) assert.ok(policies.has(id), `${id} has not reached the node`);
      }
      for (const { ingress, egress } of policies.values()) {
        const sets = [...ingress, ...egress].flatMap((rule) => (rule.peers === "any" ? [] : rule.peers.sets));
        for (const id of sets) assert.ok(peers.has(id), `set ${id} has not reached the node`);
      }
    });
  }

  it("isolates nobody, whatever is enforced", () => {
    for (const enforce of ["Segments", "All"] as const) {
      const { ingress, egress } = subject(resolve({ audits: { s: [db, rest] }, enforce }));
      assert.deepEqual([ingress, egress], [[], []]);
    }
  });

  it("does not wake a user's dormant policy", () => {
    const { ingress } = subject(resolve({ audits: { s: [rest] }, written: [policy("shop/u", INGRESS)] }));
    assert.deepEqual(ingress, []);
  });
});

describe("Resolver: audits over time", () => {
  const shop = policy("shop/s-db", DB, "s", "db");

  it("goes on while what was written before is retired, in the same batch", () => {
    const resolver = resolve({ audits: {}, written: [shop, policy("shop/s-all", ALL, "s")] });
    resolver.setRetired("s", true);
    resolver.setAudit("s", [db]);
    const delta = resolver.takeChanges().get("n1");
    assert.deepEqual(told(delta?.pods.get("db" as PodUid)?.audits), ["s/db in: audit:shop/s-db out: audit:shop/s-db"]);
    assert.deepEqual([subject(resolver).ingress, subject(resolver).egress], [[], []]);
    assert.deepEqual([...resolver.nodeState("n1").policies.keys()], ["audit:shop/s-db"]);
  });

  it("stays beside the real ones until it is taken away", () => {
    const resolver = resolve({ audits: { s: [db] } });
    resolver.setNetworkPolicy(shop);
    resolver.takeChanges();
    const both = "audit:shop/s-db shop/s-db";
    assert.deepEqual([...subject(resolver).ingress, ...told(subject(resolver).audits) ?? []],
      ["shop/s-db", `s/db in: ${both} out: ${both}`]);
    resolver.setAudit("s", []);
    resolver.takeChanges();
    assert.equal(subject(resolver).audits, undefined);
    assert.deepEqual([...resolver.nodeState("n1").policies.keys()], ["shop/s-db"]);
  });

  it("is to be confirmed by the nodes with pods that it would isolate, anew when its rules change", () => {
    const resolver = resolve({ audits: { s: [db] } });
    resolver.setPod(pod("shop/web", "n2", ["10.0.0.2"], { tier: "web" }));
    resolver.setGeneration("s", 1);
    resolver.takeChanges();
    const first = resolver.expectedConfirmations("s");
    assert.deepEqual([...first.keys()], ["n1"]);
    resolver.setAudit("s", [policy("shop/s-db", { ...DB, ingress: [{}] }, "s", "db")]);
    resolver.takeChanges();
    assert.notEqual(resolver.expectedConfirmations("s").get("n1")?.revision, first.get("n1")?.revision);
    resolver.setAudit("s", []);
    resolver.takeChanges();
    assert.equal(resolver.expectedConfirmations("s").size, 0);
  });

  it("tells nothing when the same is said again", () => {
    const resolver = resolve({ audits: { s: [db, rest] } });
    resolver.setAudit("s", [policy("shop/s-default", ALL, "s"), policy("shop/s-db", DB, "s", "db")]);
    assert.equal(resolver.takeChanges().size, 0);
  });

  it("follows a dormant policy that changes, and one that goes", () => {
    const resolver = resolve({ audits: { s: [db] }, written: [policy("shop/u", INGRESS)] });
    resolver.setNetworkPolicy(policy("shop/u", { ...INGRESS, ingress: [{ ports: [{ port: 80 }] }] }));
    assert.deepEqual([...resolver.takeChanges().get("n1")?.policies.keys() ?? []], ["shop/u"]);
    resolver.deleteNetworkPolicy("shop", "u");
    const delta = resolver.takeChanges().get("n1");
    assert.deepEqual([...delta?.policies ?? []], [["shop/u", undefined]]);
    assert.deepEqual(told(delta?.pods.get("db" as PodUid)?.audits), ["s/db in: audit:shop/s-db out: audit:shop/s-db"]);
  });
});
