import assert from "node:assert/strict";

import { ChangeRouter } from "../../../operator/control/change-router.ts";
import { PolicyView } from "../../../operator/control/policy-view.ts";
import { Resolver } from "../../../operator/resolve/resolver.ts";
import { namespace, policy } from "../resolve/cluster.ts";

const quiet = () => undefined;

describe("the router of changes", () => {
  it("has the view of NetworkPolicies forget a namespace that is gone, and remember one that is back", () => {
    const view = new PolicyView();
    const router = new ChangeRouter({
      view, resolver: new Resolver({ enforce: "Segments" }), segmentPolicies: new Map(), segmentNodes: new Map(),
      work: { policy: quiet, status: quiet, counts: quiet, node: quiet, enforcers: quiet, publish: quiet },
      ownRoad: () => assert.fail("no fact has changed"),
    });
    const [home, part] = [namespace("ns"), policy("ns/part", { podSelector: {} }, "shop")];
    const end = () => router.namespace({ previous: home, current: undefined });
    router.namespace({ previous: undefined, current: home });
    router.networkPolicy({ previous: undefined, current: part });
    end();
    router.namespace({ previous: undefined, current: home });
    router.networkPolicy({ previous: part, current: undefined });
    assert.deepEqual([...view.namespacesOf("shop")], ["ns"]);
    end();
    assert.deepEqual([...view.namespacesOf("shop")], []);
  });
});
