import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { containerGroups } from "../lab/dismantle.ts";
import { Lab } from "../lab/lab.ts";
import type { LabRecord } from "../lab/owner.ts";
import type { Prober } from "../lab/prober.ts";
import { traces } from "../lab/traces.ts";

describe("the lab", function () {
  this.timeout(240_000);
  let lab: Lab;
  let client: Prober;

  before(async () => {
    lab = await Lab.start();
    for (const node of lab.nodes) {
      await lab.workload({ namespace: "default", name: `pod-${node.name}`, node: node.name, labels: { app: "pod" } });
    }
    await lab.apply([{
      apiVersion: "v1", kind: "Service", metadata: { name: "far", namespace: "default" },
      spec: { clusterIP: "10.96.0.77", selector: { app: "pod" }, ports: [{ port: 80, targetPort: 8080 }] },
    }]);
    await lab.podsReady("default");
    client = await lab.prober("default", "pod-node-1");
  });

  after(() => lab?.stop());

  it("has every node Ready, with the pod CIDR it was given", async () => {
    const template = "{range .items[*]}{.metadata.name} {.spec.podCIDR}{\"\\n\"}{end}";
    const list = await lab.get(["get", "nodes", `--output=jsonpath=${template}`]);
    assert.equal(list, "node-1 10.201.1.0/24\nnode-2 10.201.2.0/24\n");
  });

  const reachable = [
    { pod: "pod-node-1", port: 8080, protocol: "tcp", result: "open" },
    { pod: "pod-node-2", port: 8080, protocol: "tcp", result: "open" },
    { pod: "pod-node-2", port: 8080, protocol: "udp", result: "open" },
    { pod: "pod-node-2", port: 81, protocol: "tcp", result: "refused" },
    { pod: "pod-node-2", port: 81, protocol: "udp", result: "refused" },
  ] as const;
  for (const { pod, port, protocol, result } of reachable) {
    it(`finds ${pod} ${result} on ${protocol} ${port}`, async () => {
      const verdict = await client.probe({ to: await lab.podIP("default", pod), port, protocol });
      assert.deepEqual([verdict.result, verdict.banner], [result, result === "open" ? pod : undefined]);
    });
  }

  for (const protocol of ["tcp", "udp"] as const) {
    it(`finds ${protocol} dropped by a rule of the node, and open again without it`, async () => {
      const [, node] = lab.nodes;
      assert.ok(node);
      const target = { to: await lab.podIP("default", "pod-node-2"), port: 8080, protocol };
      const rule = ["FORWARD", "--protocol", protocol, "--dport", "8080", "--jump", "DROP"];
      await node.exec(["iptables", "--insert", ...rule]);
      assert.equal((await client.probe(target)).result, "dropped");
      await node.exec(["iptables", "--delete", ...rule]);
      assert.equal((await client.probe(target)).result, "open");
    });

    it(`answers DNS over ${protocol} through the Service`, async () => {
      const name = "kubernetes.default.svc.cluster.local";
      assert.deepEqual(await client.resolve({ server: "10.96.0.10", name, protocol }), ["10.96.0.1"]);
    });
  }

  it("carries a Service to its endpoints, and pods to the API server", async () => {
    const service = await client.probe({ to: "10.96.0.77", port: 80, protocol: "tcp", timeoutMs: 1000 });
    assert.match(service.banner ?? "", /^pod-node-[12]$/);
    const server = { to: "10.96.0.1", port: 443, protocol: "tcp", silent: true } as const;
    assert.equal((await client.probe(server)).result, "open");
  });

  it("keeps the rate of a watch of several pairs, and a long connection alive", async () => {
    const to = await lab.podIP("default", "pod-node-2");
    const hold = await client.hold({ to, port: 8080, protocol: "tcp" });
    const targets = [
      { to, port: 8080, protocol: "tcp", timeoutMs: 900 }, { to, port: 8080, protocol: "udp", timeoutMs: 900 },
      { to, port: 81, protocol: "tcp", timeoutMs: 900 },
    ] as const;
    const watch = await client.watch(targets, 200);
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const { samples, planned } = await watch.stop();
    assert.ok(planned >= 3 * 550, `${planned} planned`);
    assert.ok(samples.length >= planned * 0.8, `${samples.length} of ${planned} sent`);
    const wrong = samples.filter(({ target, result }) => result !== (target.port === 81 ? "refused" : "open"));
    assert.deepEqual(wrong, []);
    const life = await hold.release();
    assert.ok(life.open && life.echoes > 100 && life.longestGapMs < 1_000, JSON.stringify(life));
  });

  it("has light nodes, whose pods reach and are reached like others", async () => {
    const node = await lab.lightNode("light-1");
    const pod = await node.pod("default", "light", { app: "light" });
    await lab.get(["wait", "node/light-1", "pod/light", "--namespace=default", "--for=condition=Ready", "--timeout=5s"]);
    const to = await lab.podIP("default", "pod-node-2");
    assert.equal((await lab.proberIn(pod.netns).probe({ to, port: 8080, protocol: "tcp" })).result, "open");
    assert.equal((await client.probe({ to: pod.ip, port: 8080, protocol: "tcp" })).result, "refused");
  });

  it("kills a container, which its kubelet restarts", async () => {
    const restarts = (): Promise<string> => lab.get([
      "get", "pod", "pod-node-2", "--output=jsonpath={.status.containerStatuses[0].restartCount}",
    ]);
    assert.equal(await restarts(), "0");
    await lab.killContainer("default", "pod-node-2");
    await lab.get(["wait", "pod/pod-node-2", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1"]);
  });

  it("stands beside another lab, which leaves nothing behind", async () => {
    const other = await Lab.start({ nodes: 1, wiring: "bridge", dns: false });
    let groups: readonly string[] = [];
    try {
      await other.workload({ namespace: "default", name: "one" });
      await other.podsReady("default");
      assert.notEqual(other.serverUrl, lab.serverUrl);
      assert.ok((await traces(other.record)).length > 5);
      groups = await containerGroups(other.id);
      assert.ok(groups.length >= 2, "a container has a control group in each hierarchy");
    } finally {
      await other.stop();
    }
    assert.deepEqual([...await traces(other.record), ...groups.filter((group) => existsSync(group))], []);
    const to = await lab.podIP("default", "pod-node-2");
    assert.equal((await client.probe({ to, port: 8080, protocol: "tcp" })).result, "open");
  });

  it("is swept away after its owner was killed", async () => {
    const program = fileURLToPath(new URL("../lab/killed-owner.ts", import.meta.url));
    const owner = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(createInterface({ input: owner.stdout }), "line") as [string];
    const record = JSON.parse(line) as LabRecord;
    const ended = once(owner, "exit");
    owner.kill("SIGKILL");
    await ended;
    assert.ok((await traces(record)).length > 5);
    const groups = await containerGroups(record.id);
    assert.ok(groups.length >= 2, "a container has a control group in each hierarchy");
    await Lab.sweep();
    assert.deepEqual([...await traces(record), ...groups.filter((group) => existsSync(group))], []);
  });
});
