import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import type { Family } from "../../../operator/enforcer/layout/family.ts";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import type { LayoutOptions } from "../../../operator/enforcer/layout/options.ts";
import { DEFAULT_OPTIONS, EXTENSIONS, memoryOf } from "../../../operator/enforcer/layout/options.ts";
import { EMPTY_KERNEL } from "../../../operator/enforcer/render/kernel-state.ts";
import { plan } from "../../../operator/enforcer/render/plan.ts";
import type { StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

const REWRITE = process.env["TIERWALL_REWRITE_GOLDEN"] !== undefined;

/** `db` is isolated both ways, by rules of every kind; `web` for ingress; `open` is not. */
function shop(family: Family): StateDraft {
  const [web, db, open, far, block, hole] = family === "ipv4"
    ? ["10.1.0.2", "10.1.0.3", "10.1.0.40", "10.2.0.9", "192.0.2.0/24", "192.0.2.8/30"]
    : ["fd00:1::2", "fd00:1::3", "fd00:1::40", "fd00:2::9", "2001:db8::/32", "2001:db8:5::/48"];
  return {
    pods: {
      web: { address: web, ingress: ["web"] },
      db: {
        address: db, ingress: ["db"], egress: ["db"], ports: [{ name: "sql", protocol: "TCP", port: 5432 }],
      },
      open: { address: open },
    },
    policies: {
      web: { ingress: [{ peers: "any", ports: [{ protocol: "TCP", port: 80 }, { protocol: "SCTP", port: 7 }] }] },
      db: {
        ingress: [
          { peers: ["webs"], ports: [{ protocol: "TCP", name: "sql" }] },
          { peers: [{ cidr: block, except: [hole] }, { cidr: block }], ports: [{ protocol: "UDP", port: 1, endPort: 9 }] },
        ],
        egress: [{ peers: ["webs"], ports: [{ protocol: "UDP", port: 53 }], endpoints: ["named"] }],
      },
    },
    peers: { webs: [web, far], named: [`${far},tcp:9000`] },
  };
}

/** What `web` may send, and anyone may send to `open`, is asked of two policies that are only tried out. */
function tried(family: Family): StateDraft {
  const { pods = {}, policies, peers } = shop(family);
  const { web, open } = pods;
  if (web === undefined || open === undefined) throw new Error("the shop has no such pods");
  return {
    pods: {
      ...pods,
      web: { ...web, audits: [{ policy: "plan", tier: "web", egress: ["plan"] }] },
      open: { ...open, audits: [{ policy: "plan", ingress: ["plan"] }, { policy: "other", tier: "web", ingress: ["none"] }] },
    },
    policies: {
      ...policies,
      plan: { ingress: [{ peers: ["webs"] }], egress: [{ peers: "any", ports: [{ protocol: "UDP", port: 53 }] }] },
      none: {},
    },
    ...(peers && { peers }),
  };
}

const lacks = (...extensions: readonly (typeof EXTENSIONS)[number][]) => ({ lacks: new Set(extensions) });

/** By name of the file that holds the text which makes an empty kernel enforce the shop. */
const CASES: readonly (readonly [string, Family, Partial<LayoutOptions>, ((family: Family) => StateDraft)?])[] = [
  ["ipv4", "ipv4", {}],
  ["ipv6", "ipv6", {}],
  ["node-traffic", "ipv4", { nodeTraffic: "Enforce" }],
  ["node-traffic-ipv6", "ipv6", { nodeTraffic: "Enforce" }],
  ["keep", "ipv4", { establishedFlows: "Keep" }],
  ["fail-closed", "ipv4", { closedNets: ["10.1.0.0/24"] }],
  ["bridged", "ipv4", { bridged: true }],
  ["bridged-ipv6", "ipv6", { bridged: true }],
  ["without-connmark", "ipv4", { ...lacks("connmark"), nodeTraffic: "Enforce" }],
  ["without-comment", "ipv4", lacks("comment")],
  ["without-sets", "ipv4", lacks("set")],
  ["without-sctp", "ipv4", lacks("sctp")],
  ["without-bridge-matches", "ipv4", { ...lacks("physdev", "pkttype"), bridged: true }],
  ["audit", "ipv4", { nodeTraffic: "Enforce" }, tried],
  ["audit-ipv6", "ipv6", { establishedFlows: "Keep", ...lacks("log") }, tried],
  ["log-drops", "ipv4", { logDrops: "All", logPerSecond: 5 }],
  ["without-anything", "ipv6", { ...lacks(...EXTENSIONS), bridged: true }],
];

describe("what the kernel is told", () => {
  for (const [name, family, change, draft = shop] of CASES) {
    it(name, () => {
      const options = { ...DEFAULT_OPTIONS, ...change };
      const marks = {
        mask: memoryOf(options) === "mark" ? 0xffff0000 : 0,
        generation: 1,
        state: options.lacks.has("comment") ? undefined : "s",
      };
      const { fill, rules } = plan(EMPTY_KERNEL, layout(nodeState(draft(family)), family, options), marks, marks);
      const text = `${fill}${rules}`;
      const file = new URL(`golden/${name}.txt`, import.meta.url);
      if (REWRITE) writeFileSync(file, text);
      assert.equal(text, readFileSync(file, "utf8"), "TIERWALL_REWRITE_GOLDEN=1 writes it anew");
    });
  }
});
