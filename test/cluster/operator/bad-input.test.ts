import assert from "node:assert/strict";
import { collectionPath, EVENTS } from "../../../operator/kube/resource.ts";
import { waitFor } from "../../lab/wait.ts";
import { enforcerObjects } from "./enforcers.ts";
import { ACCOUNT, Installation, type ShownEvent } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";

const NODE = "bad-input-node";
/** Of no segment. */
const TEAM = "team";

describe("the operator: bad input where no SegmentPolicy is", function () {
  this.timeout(60_000);
  let installation: Installation;
  let leader: OperatorProcess;
  let follower: OperatorProcess;

  before(async function () {
    this.timeout(120_000);
    installation = await Installation.start({});
    await installation.apply(
      ...enforcerObjects(NODE),
      { apiVersion: "v1", kind: "Namespace", metadata: { name: TEAM } },
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: TEAM } },
    );
    const settings = { enforcer: "Managed", enforce: "All" };
    leader = await installation.startOperator("bad-input-1", settings);
    await leader.untilLeading();
    follower = await installation.startOperator("bad-input-2", settings);
    await Promise.all([leader.untilReady(), follower.untilReady()]);
  });

  after(() => installation?.stop());

  async function pod(name: string, address: string): Promise<void> {
    await installation.apply({
      apiVersion: "v1", kind: "Pod", metadata: { name, namespace: TEAM },
      spec: { nodeName: NODE, containers: [{ name: "c", image: "none" }] },
    });
    const status = { status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] } };
    const which = [`pod/${name}`, `--namespace=${TEAM}`, "--subresource=status"];
    await installation.kubectl("patch", ...which, "--type=merge", `--patch=${JSON.stringify(status)}`);
  }

  /** A NetworkPolicy that the API server takes, and that is too much for nodes. */
  async function tooMuch(name: string): Promise<void> {
    const ports = Array.from({ length: 300 }, (_, index) => ({ port: index + 1 }));
    const from = ports.map(({ port }) => ({ podSelector: { matchLabels: { app: `app-${port}` } } }));
    await installation.apply({
      apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name, namespace: TEAM },
      spec: { podSelector: {}, policyTypes: ["Ingress"], ingress: [{ from, ports }] },
    });
  }

  async function events(): Promise<readonly ShownEvent[]> {
    const list = await installation.client.request({ method: "GET", path: collectionPath(EVENTS, TEAM) });
    return (list as { readonly items: readonly ShownEvent[] }).items.filter(({ type }) => type === "Warning");
  }

  async function untilTold(name: string): Promise<ShownEvent> {
    return waitFor(`an Event about ${name}`, async () => {
      leader.assertRunning();
      return (await events()).find(({ regarding }) => regarding.name === name);
    }, { timeoutMs: 30_000 });
  }

  it("is told by an Event on the object, in its namespace, and in the log", async () => {
    await tooMuch("too-much");
    await pod("one", "10.1.0.9");
    await pod("other", "10.1.0.9");
    const policy = await untilTold("too-much");
    assert.equal(policy.reason, "UnreadableNetworkPolicy");
    assert.match(policy.note, /90000 pairs/);
    for (const name of ["one", "other"]) assert.match((await untilTold(name)).note, /10\.1\.0\.9 is claimed by several/);
    const told = (await leader.log()).filter(({ namespace }) => namespace === TEAM).map(({ name }) => name);
    assert.deepEqual(told.toSorted(), ["one", "other", "too-much"]);
  });

  it("is told once, by the leader alone, and refused nowhere", async () => {
    // That this one is told shows that the others have been looked at again.
    await tooMuch("too-much-too");
    await untilTold("too-much-too");
    const names = (await events()).map(({ regarding }) => regarding.name);
    assert.deepEqual(names.toSorted(), ["one", "other", "too-much", "too-much-too"]);
    assert.deepEqual((await follower.log()).filter(({ namespace }) => namespace === TEAM), []);
    const own = (await installation.audit.calls()).filter(({ user }) => user.endsWith(`:${ACCOUNT.name}`));
    assert.deepEqual(own.filter(({ code }) => [401, 403].includes(code)), []);
  });
});
