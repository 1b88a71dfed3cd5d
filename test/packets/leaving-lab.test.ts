import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import type { LabNode } from "../lab/lab-node.ts";
import { Lab } from "../lab/lab.ts";
import { waitFor } from "../lab/wait.ts";
import { install, podsOf, policyReady, SYSTEM } from "./installation.ts";

const KUSTOMIZE = fileURLToPath(new URL("../../kustomize", import.meta.url));
const COPY = "/var/lib/tierwall/node-state.jsonl";

describe("switching enforcement off, in a cluster", function () {
  this.timeout(180_000);
  let lab: Lab;

  before(async () => {
    lab = await Lab.start({ nodes: 2 });
    await install(lab);
    const labels = { "tierwall.io/segment": "shop" };
    await lab.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop", labels } }]);
    await Promise.all(
      lab.nodes.map(({ name }, index) => {
        const pod = { namespace: "shop", name: `web-${index}`, node: name };
        return lab.workload({ ...pod, labels: { tier: "web" }, tcp: [8080] });
      }),
    );
    await lab.podsReady("shop");
    const spec = { namespaceSelector: { matchLabels: labels }, tiers: [{ name: "web" }] };
    await lab.apply([{ apiVersion: "tierwall.io/v1alpha1", kind: "SegmentPolicy", metadata: { name: "shop" }, spec }]);
    await policyReady(lab, "shop");
  });
  after(() => lab.stop());

  /** What of ours a node has, in its kernel and on its disk. */
  async function oursOn(node: LabNode): Promise<readonly string[]> {
    const script = [
      "for t in iptables-nft ip6tables-nft iptables-legacy ip6tables-legacy; do $t-save; done",
      "ipset list -name",
      `ls ${COPY}`,
    ].join("; ");
    const { stdout } = await node.exec(["sh", "-c", `(${script}) 2>/dev/null`]);
    return stdout.split("\n").filter((line) => /TW-|node-state/.test(line));
  }

  /** As users do: a line of the settings, and `kubectl apply -k`. */
  async function setEnforcer(value: string): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "tierwall-off-"));
    try {
      await cp(join(KUSTOMIZE, "overlays/dev"), folder, { recursive: true });
      const kustomization = await readFile(join(folder, "kustomization.yaml"), "utf8");
      const base = relative(folder, join(KUSTOMIZE, "base"));
      await writeFile(join(folder, "kustomization.yaml"), kustomization.replace("../../base", base));
      const settings = await readFile(join(folder, "operator.yaml"), "utf8");
      await writeFile(join(folder, "operator.yaml"), settings.replace(/^enforcer: .*$/m, `enforcer: ${value}`));
      await lab.get(["apply", "--server-side", "-k", folder]);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it("keeps a disk copy on each node while it is on", async () => {
    for (const node of lab.nodes) {
      const look = async () => ((await oursOn(node)).includes(COPY) ? true : undefined);
      await waitFor(`a disk copy on ${node.name}`, look, { timeoutMs: 20_000 });
    }
  });

  it("clears every node, then removes the enforcers, and says so", async () => {
    await setEnforcer("Disabled");
    await waitFor(
      "the DaemonSet being gone",
      async () => ((await lab.get(["-n", SYSTEM, "get", "ds", "-o", "name"])).trim() === "" ? true : undefined),
      { timeoutMs: 90_000 },
    );
    for (const node of lab.nodes) assert.deepEqual(await oursOn(node), [], node.name);
    const reasons = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].reason}";
    assert.equal(await lab.get(["get", "segmentnodes", "-o", reasons]), "Retired Retired");
    const events = await lab.get(["-n", SYSTEM, "get", "events.events.k8s.io", "-o", "jsonpath={.items[*].reason}"]);
    assert.match(events, /NodesCleared/);
    const enforced = "jsonpath={.status.conditions[?(@.type=='Enforced')].reason}";
    await waitFor(
      "NotManaged",
      async () => ((await lab.get(["get", "segpol", "shop", "-o", enforced])) === "NotManaged" ? true : undefined),
      { timeoutMs: 20_000 },
    );
  });

  it("and on again", async () => {
    await setEnforcer("Managed");
    const enforced = "jsonpath={.status.conditions[?(@.type=='Enforced')].status}";
    const look = async () => ((await lab.get(["get", "segpol", "shop", "-o", enforced])) === "True" ? true : undefined);
    await waitFor("Enforced", look, { timeoutMs: 90_000 });
    for (const node of lab.nodes) assert.ok((await oursOn(node)).length > 10, node.name);
  });

  it("by hand, when the operator is gone already", async () => {
    await lab.get(["-n", SYSTEM, "delete", "deployment", "tierwall-operator"]);
    await lab.get(["-n", SYSTEM, "delete", "daemonset", "tierwall-enforcer", "--ignore-not-found"]);
    const gone = async () => ((await podsOf(lab, "tierwall-enforcer")).length === 0 ? true : undefined);
    await waitFor("the enforcers being gone", gone, { timeoutMs: 60_000 });
    for (const node of lab.nodes) {
      assert.ok((await oursOn(node)).length > 10, "rules stay");
      assert.match(await debug(node), /^removed \d+ chains, \d+ sets and the disk copy$/m);
      assert.deepEqual(await oursOn(node), []);
    }
  });

  /** As README.md says. */
  async function debug({ name }: LabNode): Promise<string> {
    const custom = join(lab.directory, "cleanup.json");
    // The image's own user is none that may change a firewall.
    await writeFile(custom, JSON.stringify({ securityContext: { privileged: true, runAsUser: 0 } }));
    const image = ["--image=localhost/tierwall:dev", "--image-pull-policy=Never"];
    const pod = ["--profile=sysadmin", `--custom=${custom}`, ...image];
    const command = ["/usr/bin/node", "/app/enforcer.mjs", "cleanup", "--state-directory=/host/var/lib/tierwall"];
    const env = "--env=XTABLES_LOCKFILE=/host/run/xtables.lock";
    const said = await lab.get(["debug", `node/${name}`, ...pod, env, "--", ...command]);
    const created = /node-debugger-\S+/.exec(said)?.[0] ?? "";
    await waitFor(
      `pod ${created} having ended`,
      async () => {
        const status = await lab.get(["get", "pod", created, "-o", "jsonpath={.status}"]);
        if (/"phase":"(?:Succeeded|Failed)"/.test(status)) return true;
        throw new Error(status);
      },
      { timeoutMs: 30_000 },
    );
    return await lab.get(["logs", created]);
  }
});
