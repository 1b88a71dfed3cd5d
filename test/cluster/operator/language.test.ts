import assert from "node:assert/strict";
import { canonicalJson } from "../../../operator/api/canonical-json.ts";
import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import type { NetworkPolicy } from "../../../operator/api/network-policy.ts";
import { waitFor } from "../../lab/wait.ts";
import { keepsGoodConduct } from "./good-conduct.ts";
import { ACCOUNT, calm, Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { kindsOf, namespace, partsOf, segmentPolicy } from "./segment.ts";

const anywhere = [{ from: [{ anywhere: {} }], ports: [{ port: 8080 }] }];
const fromWeb = [{ from: [{ tier: "web" }], ports: [{ port: 5432 }] }];
const oneWay = { policyTypes: ["Ingress"], tiers: [{ name: "web", ingress: anywhere }, { name: "db", ingress: fromWeb }] };
const bothWays = { ...oneWay, policyTypes: ["Ingress", "Egress"] };
const otherWay = { policyTypes: ["Egress"], tiers: [{ name: "web", egress: [{ to: [{ tier: "db" }] }] }, { name: "db" }] };

describe("the operator: the whole language", function () {
  this.timeout(60_000);
  let installation: Installation;
  let operator: OperatorProcess;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start();
    operator = await installation.startOperator("language");
    await operator.untilReady();
    await operator.untilLeading();
  });

  after(() => installation?.stop());

  async function live(place: string): Promise<readonly NetworkPolicy[]> {
    return (await installation.networkPolicies(place)).map(readNetworkPolicy);
  }

  /** What the operator writes to NetworkPolicies from now on, after it has looked at `name` once more. */
  async function writesAfterAnotherLook(name: string): Promise<readonly string[]> {
    const mark = await installation.audit.mark();
    await installation.kubectl("label", `namespace/${name}`, "example.com/nudge=1");
    await calm();
    const writes = await installation.audit.segmentWrites(mark);
    return writes.filter((call) => call.resource === "networkpolicies").map(({ verb, name: what }) => `${verb} ${what}`);
  }

  describe("what is applied is what is read back", () => {
    const block = { ipBlock: { cidr: "10.0.0.0/8", except: ["10.2.0.0/16", "10.1.0.0/16"] } };
    const features: Readonly<Record<string, object>> = {
      "one direction": oneWay,
      "no tiers": { tiers: [], dns: "Deny" },
      "tier pods only": { defaultDeny: "TierPods" },
      "quarantine off": { quarantineLabel: "" },
      "quarantine of one value": { quarantineLabel: "example.com/cut=yes" },
      "a segment over namespaces": { boundary: "Segment" },
      "ports and blocks": {
        tiers: [{
          name: "web",
          podSelector: { matchExpressions: [{ key: "app", operator: "NotIn", values: ["b", "a"] }, { key: "x", operator: "Exists" }] },
          ingress: [{
            from: [{ ipBlock: { cidr: "2001:db8::/32", except: ["2001:db8:1::/48"] } }, block, { namespaceSelector: {} }],
            ports: [{ port: "http" }, { port: 8000, endPort: 8010 }, { protocol: "SCTP", port: 7 }, { port: 8000, endPort: 8010 }],
          }],
        }],
      },
    };
    for (const [index, [feature, spec]] of Object.entries(features).entries()) {
      it(feature, async () => {
        const name = `feature-${index}`;
        await installation.apply(namespace(name, name), segmentPolicy(name, spec as Record<string, unknown>));
        const parts = partsOf(await installation.until(name, "Ready", "True"));
        const found = new Map((await live(name)).map((policy) => [policy.metadata.name, canonicalJson(policy.spec)]));
        assert.deepEqual(found, new Map(parts.map((part) => [part.name, canonicalJson(part.spec)])));
        assert.deepEqual(await writesAfterAnotherLook(name), []);
      });
    }
  });

  describe("an edit of policyTypes", () => {
    const name = "directions";
    const edits: readonly { to: string; spec: Record<string, unknown>; writes: readonly string[] }[] = [
      { to: "one direction lets default go of the other first", spec: oneWay, writes: ["patch default", "patch tier", "patch tier"] },
      { to: "both adds it to default last", spec: bothWays, writes: ["patch tier", "patch tier", "patch default"] },
      { to: "one direction again", spec: oneWay, writes: ["patch default", "patch tier", "patch tier"] },
      { to: "the other direction opens default on the way", spec: otherWay, writes: ["patch default", "patch tier", "patch tier", "patch default"] },
    ];
    before(async () => {
      await installation.apply(namespace(name, name), segmentPolicy(name, bothWays));
      await installation.until(name, "Ready", "True");
    });

    for (const { to, spec, writes } of edits) {
      it(`to ${to}`, async () => {
        const mark = await installation.audit.mark();
        await installation.apply(segmentPolicy(name, spec));
        const parts = partsOf(await installation.until(name, "Ready", "True"));
        const done = (await installation.audit.segmentWrites(mark)).filter((call) => call.resource === "networkpolicies");
        const kinds = kindsOf(parts, done.map((call) => call.name));
        assert.deepEqual(done.map(({ verb }, index) => `${verb} ${kinds[index]}`), writes);
      });
    }
  });

  describe("a segment over namespaces", () => {
    const name = "wide";
    const zone = (place: string, of: string) => ({
      ...namespace(place, name), metadata: { name: place, labels: { ...namespace(place, name).metadata.labels, zone: of } },
    });
    const tiersIn = async (place: string) => (await installation.networkPolicies(place))
      .map(({ metadata: { labels = {} } }) => labels["tierwall.io/tier"] ?? labels["tierwall.io/part"]).toSorted();

    it("has a tier only where it lives, and names the others by their namespaces", async () => {
      await installation.apply(zone("wide-a", "a"), zone("wide-b", "b"), segmentPolicy(name, {
        boundary: "Segment",
        tiers: [
          { name: "web", namespaceSelector: { matchLabels: { zone: "a" } }, ingress: anywhere },
          { name: "db", namespaceSelector: { matchLabels: { zone: "b" } }, ingress: fromWeb },
        ],
      }));
      const { status } = await installation.until(name, "Ready", "True");
      assert.equal(status.networkPolicies, 6);
      assert.deepEqual(await tiersIn("wide-a"), ["default", "quarantine", "web"]);
      assert.deepEqual(await tiersIn("wide-b"), ["db", "default", "quarantine"]);
      const db = (await live("wide-b")).find(({ metadata }) => metadata.labels["tierwall.io/tier"] === "db");
      const home = db?.spec.ingress[0]?.from?.[0]?.namespaceSelector;
      assert.equal(home?.matchLabels?.zone, "a");
      assert.ok(home?.matchExpressions?.some(({ values = [] }) => values.includes("kube-system")));
    });

    it("moves a tier with the namespace's label", async () => {
      await installation.kubectl("label", "namespace/wide-a", "zone=b", "--overwrite");
      await waitFor("the tiers have moved", async () => {
        const tiers = await tiersIn("wide-a");
        return tiers.join() === "db,default,quarantine" ? true : undefined;
      }, { timeoutMs: 10_000 });
      const { status } = await installation.until(name, "Warnings", "True");
      assert.match(status.conditions?.find(({ type }) => type === "Warnings")?.message ?? "", /no pod matches tier web, no pod matches tier db/);
    });
  });

  describe("suspend", () => {
    const name = "asleep";
    const reasonOf = async (type: string) =>
      (await installation.policy(name)).status.conditions?.find((condition) => condition.type === type)?.reason;

    it("is Ready while what is live is what would be written", async () => {
      await installation.apply(namespace(name, name), segmentPolicy(name));
      await installation.until(name, "Ready", "True");
      const mark = await installation.audit.mark();
      await installation.apply(segmentPolicy(name, { suspend: true }));
      await installation.until(name, "Ready", "True");
      assert.equal(await reasonOf("Ready"), "Suspended");
      const writes = await installation.audit.segmentWrites(mark);
      assert.deepEqual(writes.filter(({ resource }) => resource === "networkpolicies"), []);
    });

    it("writes nothing when something is missing, and is Stalled", async () => {
      const mark = await installation.audit.mark();
      const [first] = await installation.networkPolicies(name);
      assert.ok(first);
      await installation.kubectl("delete", `--namespace=${name}`, "networkpolicy", first.metadata.name);
      await installation.until(name, "Stalled", "True");
      await calm();
      assert.equal((await installation.networkPolicies(name)).length, 3);
      const writes = await installation.audit.segmentWrites(mark);
      assert.deepEqual(writes.filter(({ resource, user }) => resource === "networkpolicies" && user.endsWith(`:${ACCOUNT.name}`)), []);
    });

    it("goes on where it was left", async () => {
      await installation.apply(segmentPolicy(name, { suspend: false }));
      await installation.until(name, "Ready", "True");
      assert.equal((await installation.networkPolicies(name)).length, 4);
    });

    it("does not keep the policy from being deleted", async () => {
      await installation.apply(segmentPolicy(name, { suspend: true }));
      await installation.until(name, "Ready", "True");
      await installation.kubectl("delete", "segpol", name);
      await installation.untilNamed(name, []);
    });
  });

  describe("facts", () => {
    const name = "facts";
    const spec = {
      dns: "Deny",
      tiers: [{ name: "web", ingress: [{ from: [{ nodes: { matchLabels: { role: "edge" } } }] }], egress: [{ to: [{ kubeAPIServer: {} }] }] }],
    };
    const node = async (node: string, address: string, role = "edge") => {
      const labels = { role, "kubernetes.io/os": "linux" };
      await installation.apply({ apiVersion: "v1", kind: "Node", metadata: { name: node, labels }, spec: {} });
      const status = JSON.stringify({ status: { addresses: [{ type: "InternalIP", address }] } });
      await installation.kubectl("patch", `node/${node}`, "--subresource=status", "--type=merge", `--patch=${status}`);
    };
    const peersOf = async (side: "ingress" | "egress"): Promise<readonly string[]> => {
      const web = (await live(name)).find(({ metadata }) => metadata.labels["tierwall.io/tier"] === "web");
      const rules = side === "ingress" ? web?.spec.ingress.map(({ from }) => from) : web?.spec.egress.map(({ to }) => to);
      return (rules ?? []).flatMap((peers = []) => peers.map(({ ipBlock }) => ipBlock?.cidr ?? "?"));
    };
    /** A control plane that listens on loopback alone does not publish itself. */
    const apiServerAt = (...addresses: readonly string[]) => installation.apply({
      apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice",
      metadata: { name: "kubernetes", namespace: "default", labels: { "kubernetes.io/service-name": "kubernetes" } },
      addressType: "IPv4",
      endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
      ports: [{ name: "https", protocol: "TCP", port: 6443 }],
    });
    const untilPeers = (side: "ingress" | "egress", wanted: readonly string[]) => waitFor(`${side} ${wanted.join()}`, async () => {
      const found = await peersOf(side);
      if (found.join() === wanted.join()) return true;
      throw new Error(found.join());
    }, { timeoutMs: 10_000 });

    it("that are not known match nothing, and are named", async () => {
      await installation.apply(namespace(name, name), segmentPolicy(name, spec));
      const { status } = await installation.until(name, "Ready", "True");
      const warnings = status.conditions?.find(({ type }) => type === "Warnings");
      assert.match(warnings?.message ?? "", /not known yet: .*the addresses of the nodes \{"matchLabels":\{"role":"edge"\}\}/);
      assert.deepEqual(await peersOf("ingress"), []);
    });

    it("follow the nodes", async () => {
      await node("edge-a", "192.0.2.4");
      await untilPeers("ingress", ["192.0.2.4/32"]);
      await node("edge-b", "192.0.2.5");
      await node("core", "192.0.2.9", "core");
      await untilPeers("ingress", ["192.0.2.4/31"]);
      await installation.kubectl("label", "node/edge-a", "role=core", "--overwrite");
      await untilPeers("ingress", ["192.0.2.5/32"]);
    });

    it("follow the endpoints of the API server", async () => {
      await apiServerAt("192.0.2.101", "192.0.2.100");
      await untilPeers("egress", ["192.0.2.100/32", "192.0.2.101/32"]);
      const web = (await live(name)).find(({ metadata }) => metadata.labels["tierwall.io/tier"] === "web");
      assert.deepEqual(web?.spec.egress[0]?.ports, [{ protocol: "TCP", port: 6443 }]);
      await apiServerAt("192.0.2.101");
      await untilPeers("egress", ["192.0.2.101/32"]);
    });

    it("that turn empty cut nobody, also over a restart", async () => {
      await installation.kubectl("delete", "node", "edge-b");
      await apiServerAt();
      const mark = await installation.audit.mark();
      await calm();
      await untilPeers("ingress", ["192.0.2.5/32"]);
      await operator.stop();
      operator = await installation.startOperator("language-again");
      await operator.untilReady();
      await operator.untilLeading();
      await installation.untilShown(name, "it names the unknown fact", ({ conditions = [] }) =>
        conditions.some(({ type, message }) => type === "Warnings" && /not known yet: the addresses of the nodes.*the endpoints/.test(message)), 20_000);
      await untilPeers("ingress", ["192.0.2.5/32"]);
      await untilPeers("egress", ["192.0.2.101/32"]);
      const writes = await installation.audit.segmentWrites(mark);
      assert.deepEqual(writes.filter(({ resource }) => resource === "networkpolicies"), []);
      await installation.until(name, "Ready", "True");
    });

    it("take the place of what was held as soon as they are seen", async () => {
      await node("edge-c", "192.0.2.77");
      await untilPeers("ingress", ["192.0.2.77/32"]);
      await apiServerAt("192.0.2.102");
      await untilPeers("egress", ["192.0.2.102/32"]);
    });
  });

  describe("what to look at", () => {
    const name = "noticed";
    const warned = (text: RegExp) => installation.untilShown(name, `${text}`, ({ conditions = [] }) =>
      conditions.some(({ type, message }) => type === "Warnings" && text.test(message)));

    it("is a tier of which rules say different things on both sides", async () => {
      await installation.apply(namespace(name, name), segmentPolicy(name, {
        tiers: [{ name: "web", egress: [{ to: [{ tier: "db" }], ports: [{ port: 1 }] }] }, { name: "db", ingress: fromWeb }],
      }));
      await warned(/web to db: egress of web says TCP 1, ingress of db says TCP 5432/);
      await installation.until(name, "Ready", "True");
    });

    it("is a pod of no tier and one in quarantine, counted within seconds", async () => {
      const pod = (called: string, labels: Readonly<Record<string, string>>) => ({
        apiVersion: "v1", kind: "Pod", metadata: { name: called, namespace: name, labels },
        spec: { containers: [{ name: "c", image: "none" }], automountServiceAccountToken: false },
      });
      await installation.apply(pod("web", { tier: "web" }), pod("stray", {}), pod("cut", { tier: "db", "tierwall.io/quarantine": "" }));
      const { status } = await installation.untilShown(name, "its pods are counted", ({ untieredPods, quarantinedPods }) =>
        untieredPods === 1 && quarantinedPods === 1, 5_000);
      assert.deepEqual(status.tiers, [{ name: "web", pods: 1 }, { name: "db", pods: 0 }]);
    });

    it("is a NetworkPolicy that widens the segment and lets quarantined pods talk, as long as it is there", async () => {
      await installation.apply({
        apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name: "open", namespace: name },
        spec: { podSelector: {}, ingress: [{}] },
      });
      await warned(/pod noticed\/cut through NetworkPolicy noticed\/open.*allowed more by: NetworkPolicy noticed\/open/);
      await installation.until(name, "Ready", "True");
      await installation.kubectl("delete", `--namespace=${name}`, "networkpolicy", "open");
      await installation.untilShown(name, "nothing widens it", ({ conditions = [] }) =>
        !conditions.some(({ message }) => message.includes("NetworkPolicy noticed/open")));
    });
  });

  keepsGoodConduct(() => installation);
});
