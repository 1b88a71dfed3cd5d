import assert from "node:assert/strict";

import { dnsFacts } from "../../../operator/control/dns-facts.ts";
import { enforcementMode } from "../../../operator/control/enforcement-mode.ts";
import { DEFAULT_SETTINGS } from "../../../operator/api/settings.ts";

const calico = { namespace: "kube-system", name: "calico-node" };
const flannel = { namespace: "kube-flannel", name: "kube-flannel-ds" };
const impostor = { namespace: "shop", name: "calico-node" };

describe("who enforces", () => {
  const cases = [
    { name: "we do where nobody else does", setting: "Auto", found: [flannel], own: false, managed: true },
    { name: "a CNI that enforces does", setting: "Auto", found: [flannel, calico], own: false, managed: false },
    { name: "a workload named like a CNI elsewhere switches nothing off", setting: "Auto", found: [impostor], own: false, managed: true },
    { name: "Auto never leaves our own enforcers by itself", setting: "Auto", found: [calico], own: true, managed: true },
    { name: "Managed is Managed", setting: "Managed", found: [calico], own: false, managed: true },
    { name: "Disabled is Disabled", setting: "Disabled", found: [], own: true, managed: false },
  ] as const;
  for (const { name, setting, found, own, managed } of cases) {
    it(name, () => assert.equal(enforcementMode(setting, found, own).managed, managed));
  }
});

describe("where DNS answers", () => {
  it("replaces a Service by its addresses, of both families", () => {
    const { peers, unknown } = dnsFacts(DEFAULT_SETTINGS.dns, () => ({ addresses: ["10.96.0.10", "fd00::a"], stale: false }));
    assert.deepEqual(peers.map((peer) => peer.ipBlock?.cidr ?? "pods"), ["pods", "10.96.0.10/32", "fd00::a/128", "169.254.20.10/32"]);
    assert.deepEqual(unknown, []);
  });

  it("says what is not known and never makes it everyone", () => {
    const { peers, unknown } = dnsFacts(DEFAULT_SETTINGS.dns, () => ({ addresses: [], stale: true }));
    assert.deepEqual(peers.map((peer) => peer.ipBlock?.cidr ?? "pods"), ["pods", "169.254.20.10/32"]);
    assert.deepEqual(unknown, ["the address of Service kube-system/kube-dns"]);
  });
});
