import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import { segmentNodeStatus } from "../../../operator/enforcer/node-report.ts";
import { SegmentNodeWriter } from "../../../operator/enforcer/segment-node-writer.ts";
import type { ControlPlane } from "../../lab/control-plane.ts";
import { waitFor } from "../../lab/wait.ts";
import { controlPlane } from "../control-plane.ts";
import { install, run, SYSTEM, withdraw } from "./kustomization.ts";

const ENFORCER = "tierwall-enforcer";
const OPERATOR = "tierwall-operator";
/** A ServiceAccount that somebody gave every right on SegmentNodes, to see what is refused even so. */
const STRANGER = "stranger";
const [OWN, OTHER] = ["install-a", "install-b"];
const COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector";
const BY_STATUS_POLICY = /^Error: SegmentNode \S+: 403 .*only the enforcer on this node/;

/** As an enforcer writes it before it has heard of any pod. */
const STATUS = segmentNodeStatus(
  { state: undefined, wrote: true, rules: { ipv4: 20, ipv6: 0 }, sets: 0, findings: [], leaversDue: undefined, backend: "nft", standing: "Enforcing", failure: undefined },
  undefined, "0.1.0",
  "2026-01-01T00:00:00Z",
);

const node = (name: string) => ({ apiVersion: "v1", kind: "Node", metadata: { name } });
const pod = (name: string, nodeName: string, serviceAccountName: string) => ({
  apiVersion: "v1", kind: "Pod", metadata: { name, namespace: SYSTEM },
  spec: { nodeName, serviceAccountName, containers: [{ name: "main", image: "none" }] },
});
const segmentNode = (name: string, status?: SegmentNodeStatus) => ({
  apiVersion: "tierwall.io/v1alpha1", kind: "SegmentNode", metadata: { name }, ...(status && { status }),
});
const stranger = [
  { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: STRANGER, namespace: SYSTEM } },
  {
    apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "install-stranger" },
    rules: [{ apiGroups: ["tierwall.io"], resources: ["segmentnodes", "segmentnodes/status"], verbs: ["*"] }],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", metadata: { name: "install-stranger" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "install-stranger" },
    subjects: [{ kind: "ServiceAccount", name: STRANGER, namespace: SYSTEM }],
  },
];
const pods = [
  pod("enforcer", OWN, ENFORCER), pod("gone", OWN, ENFORCER), pod("operator", OWN, OPERATOR),
  pod("stranger", OWN, STRANGER),
];

describe("the admission of SegmentNodes", function () {
  this.timeout(60_000);
  let plane: ControlPlane;

  const json = (...objects: readonly object[]) => objects.map((object) => JSON.stringify(object)).join("\n---\n");
  const token = async (account: string, podName?: string, audience?: string) => {
    const bound = podName === undefined ? [] : ["--bound-object-kind=Pod", `--bound-object-name=${podName}`];
    const meant = audience === undefined ? [] : [`--audience=${audience}`];
    return (await run(plane, ["create", "token", account, "-n", SYSTEM, ...bound, ...meant])).trim();
  };
  /** Sends a status exactly as an enforcer does. @returns "written", or the API server's refusal */
  const write = async (bearer: string, name: string) => {
    const tokenFile = join(plane.directory, "install-token");
    await writeFile(tokenFile, bearer, { mode: 0o600 });
    const api = { server: plane.url, caFile: join(plane.directory, "ca.crt"), tokenFile };
    const writer = new SegmentNodeWriter(api, name);
    try {
      await writer.write(STATUS, AbortSignal.timeout(10_000));
      return "written";
    } catch (error) {
      return String(error);
    } finally {
      writer.close();
    }
  };
  /** kubectl with a ServiceAccount's token and nothing else. */
  const as = async (account: string, args: readonly string[], input = "") => {
    const kubeconfig = await plane.kubeconfigFor({ namespace: SYSTEM, name: account });
    return plane.kubectl([`--kubeconfig=${kubeconfig}`, ...args], { input });
  };

  /** As an administrator who may do everything else. */
  const patchStatus = (name: string, status: object, ...args: readonly string[]) => {
    const patch = JSON.stringify({ status });
    return plane.kubectl(["patch", "segmentnode", name, "--subresource=status", "--type=merge", "-p", patch, ...args]);
  };

  before(async () => {
    plane = await controlPlane();
    await install(plane);
    const objects = [node(OWN), node(OTHER), ...stranger, ...pods, segmentNode(OWN), segmentNode(OTHER)];
    await run(plane, ["create", "-f", "-"], json(...objects));
    await waitFor("both admission policies being in force", async () => {
      const status = await patchStatus(OTHER, {}, "--dry-run=server");
      const object = await as(STRANGER, ["delete", "segmentnode", OTHER, "--dry-run=server"]);
      return status.code !== 0 && object.code !== 0 ? true : undefined;
    }, { timeoutMs: 20_000 });
  });
  after(async () => {
    const names = pods.map(({ metadata }) => metadata.name);
    await plane.kubectl(["delete", "pod", "-n", SYSTEM, "--force", "--grace-period=0", "--ignore-not-found", ...names]);
    await plane.kubectl(["delete", "segmentnode,node", OWN, OTHER, "--ignore-not-found"]);
    await plane.kubectl(["delete", "-f", "-"], { input: json(...stranger) });
    await withdraw(plane);
  });

  it("lets an enforcer write its own node's status", async () => {
    assert.equal(await write(await token(ENFORCER, "enforcer"), OWN), "written");
    assert.equal(await run(plane, ["get", "segmentnode", OWN, "-o=jsonpath={.status.rules.ipv4}"]), "20");
  });

  describe("refuses a status", () => {
    const cases: readonly { by: string; bearer: () => Promise<string>; says: RegExp }[] = [
      { by: "an enforcer's token that is bound to no pod", bearer: () => token(ENFORCER), says: BY_STATUS_POLICY },
      {
        by: "another ServiceAccount on the node, with the right to patch it",
        bearer: () => token(STRANGER, "stranger"), says: BY_STATUS_POLICY,
      },
      {
        by: "the operator",
        bearer: () => token(OPERATOR, "operator"), says: /: 403 .*cannot patch resource "segmentnodes\/status"/,
      },
      {
        by: "a token meant for the operator's stream",
        bearer: () => token(ENFORCER, "enforcer", "tierwall-operator"), says: /: 401 /,
      },
      { by: "a token whose pod is gone", bearer: tokenOfAGonePod, says: /: 401 / },
    ];
    for (const { by, bearer, says } of cases) {
      it(`by ${by}`, async () => assert.match(await write(await bearer(), OWN), says));
    }

    it("of another node", async () => {
      assert.match(await write(await token(ENFORCER, "enforcer"), OTHER), BY_STATUS_POLICY);
    });

    it("by an administrator", async () => {
      const { code, stderr } = await patchStatus(OWN, { pods: 9 });
      assert.notEqual(code, 0);
      assert.match(stderr, /only the enforcer on this node/);
    });
  });

  it("lets the operator make a SegmentNode, of whose status nothing is kept", async () => {
    const { code, stderr } = await as(OPERATOR, ["create", "-f", "-"], json(segmentNode("install-new", STATUS)));
    assert.equal(code, 0, stderr);
    assert.equal(await run(plane, ["get", "segmentnode", "install-new", "-o=jsonpath={.status}"]), "");
  });

  it("lets the garbage collector delete one", async () => {
    await run(plane, ["delete", "segmentnode", "install-new", `--as=${COLLECTOR}`, "--as-group=system:authenticated"]);
  });

  it("lets an administrator make and delete one", async () => {
    await run(plane, ["create", "-f", "-"], json(segmentNode("install-own")));
    await run(plane, ["delete", "segmentnode", "install-own"]);
  });

  const changes: readonly { does: string; args: readonly string[]; input?: string }[] = [
    { does: "make one", args: ["create", "-f", "-"], input: json(segmentNode("install-c")) },
    { does: "delete one", args: ["delete", "segmentnode", OTHER] },
    { does: "change one", args: ["label", "segmentnode", OTHER, "x=y"] },
  ];
  for (const { does, args, input } of changes) {
    it(`does not let an enforcer ${does}, nor a stranger with the right to it`, async () => {
      assert.match((await as(ENFORCER, args, input)).stderr, /[Ff]orbidden/);
      assert.match((await as(STRANGER, args, input)).stderr, /SegmentNodes are made and deleted by the operator/);
    });
  }

  async function tokenOfAGonePod(): Promise<string> {
    const bearer = await token(ENFORCER, "gone");
    await run(plane, ["delete", "pod", "-n", SYSTEM, "gone", "--force", "--grace-period=0"]);
    // A token that has been accepted stays so for ten seconds in the API server's cache; this one was never shown.
    return bearer;
  }
});
