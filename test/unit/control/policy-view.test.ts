import assert from "node:assert/strict";

import { readNetworkPolicy } from "../../../operator/api/network-policy-parser.ts";
import { PolicyView } from "../../../operator/control/policy-view.ts";

const policy = (uid: string, resourceVersion: string) => readNetworkPolicy({
  metadata: { name: "p", namespace: "ns", uid, resourceVersion, labels: { "tierwall.io/policy": "shop" }, managedFields: [{ manager: "tierwall" }] },
  spec: { podSelector: {} },
});
const elsewhere = (uid: string, resourceVersion: string, namespace = "other") => {
  const { metadata, ...rest } = policy(uid, resourceVersion);
  return { ...rest, metadata: { ...metadata, namespace } };
};
const versions = (view: PolicyView) => ({
  current: view.currentIn("ns").map(({ metadata }) => metadata.resourceVersion),
  observed: view.observedIn("ns").map(({ metadata }) => metadata.resourceVersion),
});

describe("policy view", () => {
  it("counts a write of ours before the watch shows it", () => {
    const view = new PolicyView();
    view.wrote(policy("a", "10"));
    assert.deepEqual(versions(view), { current: ["10"], observed: [] });
    view.observe(policy("a", "10"));
    assert.deepEqual(versions(view), { current: ["10"], observed: ["10"] });
  });

  it("is not set back by an older event that arrives after our write", () => {
    const view = new PolicyView();
    view.observe(policy("a", "8"));
    view.wrote(policy("a", "10"));
    view.observe(policy("a", "9"));
    assert.deepEqual(versions(view), { current: ["10"], observed: ["9"] });
    view.observe(policy("a", "11"));
    assert.deepEqual(versions(view), { current: ["11"], observed: ["11"] });
  });

  it("takes no answer that comes when the watch has shown the object and its end", () => {
    const view = new PolicyView();
    view.observe(policy("a", "10"));
    view.observeDeleted(policy("a", "10"));
    view.wrote(policy("a", "10"));
    assert.deepEqual(versions(view), { current: [], observed: [] });
  });

  it("drops a write that the watch has passed without showing it: it was undone while nothing was watched", () => {
    const view = new PolicyView();
    view.wrote(policy("a", "10"));
    view.observe(elsewhere("b", "11"));
    assert.deepEqual(versions(view), { current: [], observed: [] });
  });

  it("compares resource versions as numbers", () => {
    const view = new PolicyView();
    view.wrote(policy("a", "10"));
    view.observe(policy("a", "9"));
    assert.deepEqual(versions(view).current, ["10"]);
  });

  it("counts a delete of ours at once, and lets a new object of that name in", () => {
    const view = new PolicyView();
    view.observe(policy("a", "8"));
    view.removed("ns", "p", "a");
    assert.deepEqual(versions(view), { current: [], observed: ["8"] });
    view.observe(policy("b", "12"));
    assert.deepEqual(versions(view), { current: ["12"], observed: ["12"] });
  });

  it("remembers where something of a SegmentPolicy is until it is told to forget", () => {
    const view = new PolicyView();
    view.observe(policy("a", "8"));
    view.observeDeleted(policy("a", "9"));
    assert.deepEqual([...view.namespacesOf("shop")], ["ns"]);
    view.forget("shop");
    assert.deepEqual([...view.namespacesOf("shop")], []);
  });

  it("knows who has a say in a namespace also where nothing of it is, until that is forgotten", () => {
    const view = new PolicyView();
    view.concern("audit", ["ns", "other"]);
    assert.deepEqual([view.ownersIn("ns"), [...view.namespacesOf("audit")]], [["audit"], ["ns", "other"]]);
    view.forget("audit");
    assert.deepEqual([view.ownersIn("ns"), [...view.namespacesOf("audit")]], [[], []]);
  });

  describe("of a namespace that is gone", () => {
    let view: PolicyView;
    const left = () => [...view.namespacesOf("shop"), ...view.ownersIn("ns")];
    beforeEach(() => {
      view = new PolicyView();
      view.observe(policy("a", "8"));
    });

    it("remembers nothing, also where the watch has shown the end of what was in it before", () => {
      view.observeDeleted(policy("a", "8"));
      view.deleteNamespace("ns");
      assert.deepEqual(left(), []);
    });

    it("remembers what is still observed, until its end is shown", () => {
      view.deleteNamespace("ns");
      assert.deepEqual(left(), ["ns", "shop"]);
      view.observeDeleted(policy("a", "8"));
      assert.deepEqual(left(), []);
    });

    it("goes on remembering when it is there again", () => {
      view.deleteNamespace("ns");
      view.setNamespace("ns");
      view.observeDeleted(policy("a", "8"));
      assert.deepEqual(left(), ["ns", "shop"]);
    });
  });
});
