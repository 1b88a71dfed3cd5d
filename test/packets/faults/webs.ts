import type { ClusterDraft } from "../../cases/case.ts";
import { ingressOf } from "../../cases/policies.ts";
import { both, tcp, udp } from "./scene.ts";

/** All webs of the shop, `b` and `d`, may talk to `a`. */
export const WEBS: ClusterDraft = {
  policies: { "shop/webs": ingressOf("a", [{ from: [{ podSelector: { matchLabels: { tier: "web" } } }] }]) },
};

export const KEPT = both("shop/d", "shop/a");
export const DENIED = both("other/e", "shop/a");
/** A TCP client says its SYN again after a second, when all may be otherwise. */
export const DENIED_ONCE = [udp("other/e", "shop/a")];
/** To be kept open. */
export const LONG_KEPT = [tcp("shop/d", "shop/a"), udp("shop/d", "shop/a")];
