import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import { KubeConfig } from "@kubernetes/client-node";

import { AuthorityStore } from "../../../operator/control/authority-store.ts";
import { tokenReviewer } from "../../../operator/control/token-reviewer.ts";
import { KubeClient } from "../../../operator/kube/client.ts";
import { StreamAuthenticator } from "../../../operator/stream/authenticator.ts";
import { controlPlane } from "../control-plane.ts";

const NAMESPACE = "stream-test";
const ENFORCER = "tierwall-enforcer";
const AUDIENCE = "tierwall-operator";

const account = (name: string) => ({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: NAMESPACE } });
const node = (name: string) => ({ apiVersion: "v1", kind: "Node", metadata: { name } });
const pod = (name: string, nodeName: string, serviceAccountName: string) => ({
  apiVersion: "v1", kind: "Pod", metadata: { name, namespace: NAMESPACE },
  spec: { nodeName, serviceAccountName, containers: [{ name: "main", image: "none" }] },
});

describe("the API server's word on tokens", function () {
  this.timeout(90_000);
  let plane: Awaited<ReturnType<typeof controlPlane>>;
  let client: KubeClient;
  const enforcers = new Map<string, { readonly nodeName: string }>();

  const kubectl = async (args: string[], input?: string) => {
    const { stdout, stderr, code } = await plane.kubectl(args, input === undefined ? {} : { input });
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  /** A new authenticator each time: nothing cached. */
  const ask = async (token: string, nodeName: string) => {
    const result = await new StreamAuthenticator({
      review: tokenReviewer(client), enforcerPods: (name, uid) => enforcers.get(`${name}/${uid}`),
      audience: AUDIENCE, username: `system:serviceaccount:${NAMESPACE}:${ENFORCER}`, now: () => Date.now(), monotonic: () => performance.now(),
    }).authenticate(token, nodeName);
    return result.allowed ? "allowed" : `${result.status} ${result.reason}`;
  };
  const tokenOf = (serviceAccount: string, podName?: string, audience = AUDIENCE) => {
    const bound = podName === undefined ? [] : ["--bound-object-kind=Pod", `--bound-object-name=${podName}`];
    return kubectl(["create", "token", serviceAccount, "-n", NAMESPACE, `--audience=${audience}`, ...bound]);
  };

  before(async () => {
    plane = await controlPlane();
    const config = new KubeConfig();
    config.loadFromFile(plane.kubeconfig);
    client = new KubeClient(config);
    const items = [
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } }, account(ENFORCER), account("web"),
      node("stream-a"), node("stream-b"), pod("enforcer-a", "stream-a", ENFORCER), pod("enforcer-old", "stream-a", ENFORCER),
      pod("stranger", "stream-a", ENFORCER), pod("web", "stream-a", "web"),
    ];
    // One after the other: a pod needs its ServiceAccount.
    await kubectl(["create", "-f", "-"], items.map((item) => JSON.stringify(item)).join("\n---\n"));
    for (const name of ["enforcer-a", "enforcer-old", "web"]) {
      const uid = await kubectl(["get", "pod", name, "-n", NAMESPACE, "-o", "jsonpath={.metadata.uid}"]);
      enforcers.set(`${name}/${uid}`, { nodeName: "stream-a" });
    }
  });
  after(async () => {
    await plane.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
    await plane.kubectl(["delete", "node", "stream-a", "stream-b"]);
    await client.close();
  });

  it("lets a node's enforcer follow its node", async () => {
    assert.equal(await ask(await tokenOf(ENFORCER, "enforcer-a"), "stream-a"), "allowed");
  });

  it("keeps it from another node", async () => {
    assert.match(await ask(await tokenOf(ENFORCER, "enforcer-a"), "stream-b"), /^403 the token is bound to node stream-a/);
  });

  it("refuses a token for the API server", async () => {
    const audience = "https://kubernetes.default.svc";
    assert.match(await ask(await tokenOf(ENFORCER, "enforcer-a", audience), "stream-a"), /^401 /);
  });

  it("refuses another ServiceAccount on the node", async () => {
    assert.match(await ask(await tokenOf("web", "web"), "stream-a"), /^403 system:serviceaccount:stream-test:web is not/);
  });

  it("refuses a token that is bound to no pod", async () => {
    assert.match(await ask(await tokenOf(ENFORCER), "stream-a"), /^403 the token is bound to node none/);
  });

  it("refuses a pod of the right ServiceAccount that is no enforcer", async () => {
    assert.match(await ask(await tokenOf(ENFORCER, "stranger"), "stream-a"), /^403 pod stranger is no live enforcer/);
  });

  it("refuses the token of a deleted pod", async () => {
    const token = await tokenOf(ENFORCER, "enforcer-old");
    assert.equal(await ask(token, "stream-a"), "allowed");
    await kubectl(["delete", "pod", "enforcer-old", "-n", NAMESPACE, "--force", "--grace-period=0"]);
    const deadline = performance.now() + 20_000;
    // The API server checks bindings against a cache of its own for a moment.
    let answer = "allowed";
    for (; answer === "allowed" && performance.now() < deadline; await sleep(200)) answer = await ask(token, "stream-a");
    assert.match(answer, /^401 /);
  });

  it("refuses nonsense", async () => assert.match(await ask("nonsense", "stream-a"), /^401 /));

  it("keeps one CA for all replicas, whoever starts first", async () => {
    const stores = Array.from({ length: 4 }, () => new AuthorityStore(client, NAMESPACE, () => new Date()));
    const authorities = await Promise.all(stores.map((store) => store.refresh()));
    assert.equal(new Set(authorities.map(({ current }) => current.certificate)).size, 1);
    const bundle = await kubectl(["get", "configmap", "tierwall-ca", "-n", NAMESPACE, "-o", "jsonpath={.data.ca\\.crt}"]);
    assert.equal(bundle, authorities[0]?.current.certificate.trim());
  });

  it("rotates the CA once, and keeps the old one trusted", async () => {
    const later = () => new Date(Date.now() + 250 * 86_400_000);
    const stores = Array.from({ length: 4 }, () => new AuthorityStore(client, NAMESPACE, later));
    const authorities = await Promise.all(stores.map((store) => store.refresh()));
    assert.equal(new Set(authorities.map(({ current }) => current.certificate)).size, 1);
    const bundle = await kubectl(["get", "configmap", "tierwall-ca", "-n", NAMESPACE, "-o", "jsonpath={.data.ca\\.crt}"]);
    assert.equal(bundle.match(/BEGIN CERTIFICATE/g)?.length, 2);
  });
});
