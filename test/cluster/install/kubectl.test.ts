import assert from "node:assert/strict";

import type { ControlPlane } from "../../lab/control-plane.ts";
import { waitFor } from "../../lab/wait.ts";
import { controlPlane } from "../control-plane.ts";
import { apply, run, untilServed } from "./kustomization.ts";

const confirmation = (name: string) => ({ name, generation: 1, revision: "0", state: "Enforced" });
const condition = (message: string) => ({
  type: "Ready", status: "True", reason: "Enforced", message, lastTransitionTime: "2026-01-01T00:00:00Z",
});
const spec = { namespaceSelector: { matchLabels: { "tierwall.io/segment": "kubectl" } } };

/** What each field says of itself; line breaks are kubectl's. */
const EXPLAINED: readonly { readonly path: string; readonly says: string }[] = [
  { path: "segpol", says: "A SegmentPolicy says which tiers of an application may talk." },
  { path: "segpol.spec.tiers.ingress", says: "Who may connect to this tier. Rules add up." },
  { path: "segpol.spec.tiers.ingress.from", says: "any one of these peers. Never empty" },
  { path: "segpol.spec.tiers.ingress.ports", says: "Left out, every port of every protocol" },
  { path: "segpol.spec.tiers.egress", says: "Where this tier may connect to. Rules add up." },
  { path: "segpol.status.nodes", says: "Which nodes have confirmed that their kernel holds the rules." },
  { path: "segmentnode", says: "A SegmentNode says what one node enforces." },
];

describe("kubectl", function () {
  this.timeout(60_000);
  let plane: ControlPlane;

  before(async () => {
    plane = await controlPlane();
    await apply(plane, "crds");
    await untilServed(plane);
  });
  after(() => plane.kubectl(["delete", "segmentnode/kubectl-node", "segpol/kubectl-shop", "--ignore-not-found"]));

  it("shows of a SegmentNode what it enforces, its policies as a number", async () => {
    await make("SegmentNode", "kubectl-node", {}, {
      conditions: [condition("enforcing on 7 pods")],
      policies: [confirmation("shop"), confirmation("guestbook")], policyCount: 2,
      pods: 7, rules: { ipv4: 31, ipv6: 5 }, backend: "nft", version: "0.1.0",
    });
    const shown = { NAME: "kubectl-node", READY: "True", POLICIES: "2", PODS: "7", RULES: "31", BACKEND: "nft" };
    assert.deepEqual(await table("segmentnodes", "kubectl-node"), shown);
    assert.deepEqual(await table("segmentnodes", "kubectl-node", "--output=wide"), {
      ...shown, VERSION: "0.1.0", MESSAGE: "enforcing on 7 pods",
    });
  });

  it("shows of a SegmentPolicy whether it is in force, and where", async () => {
    await make("SegmentPolicy", "kubectl-shop", { spec }, {
      observedGeneration: 1, conditions: [condition("10 policies in 2 namespaces")],
      namespaces: { matched: 2, applied: 2, summary: "2/2" }, networkPolicies: 10,
      nodes: { desired: 3, enforced: 3, summary: "3/3" },
    });
    const shown = {
      NAME: "kubectl-shop", MODE: "Enforce", NAMESPACES: "2/2", POLICIES: "10", NODES: "3/3", READY: "True",
      REASON: "Enforced",
    };
    assert.deepEqual(await table("segpol", "kubectl-shop"), shown);
    const wide = await table("segpol", "kubectl-shop", "--output=wide");
    assert.deepEqual(wide, { ...shown, MESSAGE: "10 policies in 2 namespaces" });
  });

  it("finds both kinds as `tierwall`", async () => {
    const names = await run(plane, ["get", "tierwall", "--output=name"]);
    assert.match(names, /^segmentnode\.tierwall\.io\/kubectl-node$/m);
    assert.match(names, /^segmentpolicy\.tierwall\.io\/kubectl-shop$/m);
  });

  for (const { path, says } of EXPLAINED) {
    it(`explains ${path}`, async () => {
      const text = (await run(plane, ["explain", path])).replaceAll(/\s+/g, " ");
      assert.ok(text.includes(says), text);
    });
  }

  async function make(kind: string, name: string, content: object, status: object): Promise<void> {
    const object = { apiVersion: "tierwall.io/v1alpha1", kind, metadata: { name }, ...content };
    await run(plane, ["create", "--validate=strict", "-f", "-"], JSON.stringify(object));
    const args = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "--subresource=status", "-f-"];
    const input = JSON.stringify({ ...object, status });
    // Another test's admission policies are in force a moment longer than they exist.
    await waitFor(`a status on ${name}`, () => run(plane, args, input), { timeoutMs: 10_000 });
  }

  /** What `kubectl get` prints of one object, by heading and without its age. */
  async function table(kind: string, name: string, ...args: readonly string[]) {
    const [heads = "", row = ""] = (await run(plane, ["get", kind, name, ...args])).trimEnd().split("\n");
    // Columns stand at least three blanks apart, and a cell holds single ones.
    const cells = row.split(/ {3,}/);
    const columns = heads.split(/ {3,}/).map((head, index) => [head.trim(), cells[index]?.trim() ?? ""] as const);
    return Object.fromEntries(columns.filter(([head]) => head !== "AGE"));
  }
});
