import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import fc from "fast-check";
import { parse, stringify } from "yaml";

import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import type { SegmentPolicySpec, TierRule } from "../../../operator/api/segment-policy.ts";
import { compile } from "../../../operator/compile/compile.ts";
import type { Facts } from "../../../operator/compile/facts.ts";

const facts: Facts = {
  dns: {
    peers: [
      {
        podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
      },
      { ipBlock: { cidr: "10.96.0.10/32" } },
    ],
    ports: [53],
  },
};

function specOf(yaml: string): SegmentPolicySpec {
  const { verdict } = readSegmentPolicy({ metadata: { name: "shop" }, spec: parse(yaml) as unknown });
  assert.ok(verdict.accepted, verdict.accepted ? "" : verdict.message);
  return verdict.spec;
}

/** Golden files: a SegmentPolicy's spec, `---`, and the NetworkPolicy parts that it has to compile to. */
describe("compile: golden text", () => {
  for (const name of ["shop", "guestbook", "no-tiers", "tier-pods-only", "quarantine-value", "quarantine-off", "dns-deny", "egress-rules"]) {
    it(name, () => {
      const path = new URL(`golden/${name}.yaml`, import.meta.url);
      const [source = "", expected = ""] = readFileSync(path, "utf8").split("\n---\n");
      const text = stringify(compile("shop", specOf(source), facts), { lineWidth: 0, aliasDuplicateObjects: false });
      assert.equal(text, expected);
    });
  }
});

describe("compile: properties", () => {
  const names = ["frontend", "backend", "db", "cache"];
  const tierPeer = fc.constantFrom(...names).map((tier) => ({ kind: "tier", tier }) as const);
  const foreignPeer = fc.constantFrom(
    { kind: "pods", podSelector: { matchLabels: { app: "x" } } } as const,
    { kind: "ipBlock", ipBlock: { cidr: "10.0.0.0/8", except: ["10.1.0.0/16", "10.2.0.0/16"] } } as const,
  );
  const port = fc.record({ protocol: fc.constantFrom("TCP", "UDP"), port: fc.constantFrom<(number | string)[]>(80, 443, "metrics") });
  const rule = fc.record({
    peers: fc.oneof(fc.array(fc.oneof(tierPeer, foreignPeer), { minLength: 1, maxLength: 4 }), fc.constant([{ kind: "anywhere" } as const])),
    ports: fc.oneof(fc.constant("any" as const), fc.array(port, { minLength: 1, maxLength: 4 })),
  }) as fc.Arbitrary<TierRule>;
  const rules = fc.array(rule, { maxLength: 4 });
  const spec = fc.tuple(...names.map((name) => fc.record({ ingress: rules, egress: rules })
    .map((sides) => ({ name, podSelector: { matchLabels: { tier: name } }, ...sides })))).map((tiers): SegmentPolicySpec => ({
    namespaceSelector: { matchLabels: { s: "x" } }, policyTypes: ["Ingress", "Egress"], defaultDeny: "AllPods", dns: "Allow",
    quarantine: { key: "q", value: undefined }, tiers,
  }));
  const reversed = (list: readonly TierRule[]): readonly TierRule[] => list.toReversed().map((entry) => ({
    peers: entry.peers.toReversed(), ports: entry.ports === "any" ? "any" : entry.ports.toReversed(),
  }));

  it("gives the same bytes whatever the order of tiers, rules, peers and ports", () => {
    fc.assert(fc.property(spec, (given) => {
      const turned = { ...given, tiers: given.tiers.toReversed().map((tier) => ({ ...tier, ingress: reversed(tier.ingress), egress: reversed(tier.egress) })) };
      assert.equal(JSON.stringify(compile("p", turned, facts)), JSON.stringify(compile("p", given, facts)));
    }));
  });

  it("gives the client's egress for every tier named in an ingress rule, and the other way round", () => {
    fc.assert(fc.property(spec, (given) => {
      const parts = compile("p", given, facts);
      const specOfTier = (tier: string) => parts.find((part) => part.tier === tier)?.spec;
      for (const tier of given.tiers) {
        for (const { peers, ports } of tier.ingress) {
          for (const peer of peers) {
            if (peer.kind !== "tier") continue;
            const server = JSON.stringify(specOfTier(tier.name)?.podSelector);
            const mirrored = specOfTier(peer.tier)?.egress.some((entry) => JSON.stringify(entry.to?.[0]?.podSelector) === server
              && (ports === "any" ? entry.ports === undefined : ports.every((wanted) => entry.ports?.some((got) => got.port === wanted.port && got.protocol === wanted.protocol))));
            assert.ok(mirrored, `${peer.tier} → ${tier.name}`);
          }
        }
      }
    }));
  });

  it("never leaves a list empty inside a rule: there it would mean any", () => {
    fc.assert(fc.property(spec, (given) => {
      for (const part of compile("p", given, facts)) {
        for (const entry of part.spec.ingress) assert.ok(entry.from?.length !== 0 && entry.ports?.length !== 0);
        for (const entry of part.spec.egress) assert.ok(entry.to?.length !== 0 && entry.ports?.length !== 0);
      }
    }));
  });

  it("keeps quarantined pods out of every part but quarantine", () => {
    fc.assert(fc.property(spec, (given) => {
      for (const part of compile("p", given, facts).filter(({ kind }) => kind !== "quarantine")) {
        assert.ok(part.spec.podSelector.matchExpressions?.some(({ key, operator }) => key === "q" && operator === "DoesNotExist"));
      }
    }));
  });

  it("leaves the DNS rule out while nobody is known to ask: an empty peer list would allow everyone", () => {
    const parts = compile("p", specOf("namespaceSelector: {matchLabels: {a: b}}"), { dns: { peers: [], ports: [53] } });
    assert.deepEqual(parts.map(({ spec: { egress } }) => egress), [[], []]);
  });
});
