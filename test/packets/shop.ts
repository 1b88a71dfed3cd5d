import { stringify } from "yaml";

import { place, type Pair } from "./vigil.ts";

/** Two namespaces of the segment × two nodes × three tiers, and a stranger: `<tier>-<node>`. */
export const NAMESPACES = ["shop-dev", "shop-prod"] as const;
export const TIERS = ["frontend", "backend", "db"] as const;
export const NODES = ["1", "2"] as const;
export const STRANGER = "other/stranger";
export const SERVED = [8080, 5432] as const;

/** All pods of the segment. */
export const members = NAMESPACES.flatMap((namespace) =>
  TIERS.flatMap((tier) => NODES.map((node) => ({ namespace, tier, node, name: `${namespace}/${tier}-${node}` }))),
);
export const everyone = [...members.map(({ name }) => name), STRANGER];

/** `spec.tiers` of a SegmentPolicy. */
export type Tiers = readonly { readonly name: string; readonly ingress: readonly object[] }[];
const both = (port: number) => [{ port }, { port, protocol: "UDP" }];
/** anywhere → frontend → backend → db, the last two over both protocols. */
export const shop: Tiers = [
  { name: "frontend", ingress: [{ from: [{ anywhere: {} }], ports: [{ port: 8080 }] }] },
  { name: "backend", ingress: [{ from: [{ tier: "frontend" }], ports: both(8080) }] },
  { name: "db", ingress: [{ from: [{ tier: "backend" }], ports: both(5432) }] },
];
export const withoutDatabase: Tiers = shop.map((tier) => (tier.name === "db" ? { ...tier, ingress: [] } : tier));

/** The SegmentPolicy as YAML. */
export function policy(tiers: Tiers): string {
  return stringify({
    apiVersion: "tierwall.io/v1alpha1",
    kind: "SegmentPolicy",
    metadata: { name: "shop" },
    spec: { namespaceSelector: { matchLabels: { "tierwall.io/segment": "shop" } }, tiers },
  });
}

/** What the policy text says, worked out without any code of the operator. */
export function allowed({ client, server, port, protocol }: Pair): boolean {
  if (client === server) return true;
  const [fromNamespace, from] = place(client);
  const [toNamespace, to] = place(server);
  const [fromTier, toTier] = [from.split("-")[0], to.split("-")[0]];
  if (toTier === "stranger") return fromTier === "stranger";
  if (toTier === "frontend") return fromTier === "stranger" && port === 8080 && protocol === "tcp";
  if (fromNamespace !== toNamespace) return false;
  return (
    (fromTier === "frontend" && toTier === "backend" && port === 8080) ||
    (fromTier === "backend" && toTier === "db" && port === 5432)
  );
}

export const tcp = (client: string, server: string, port: number): Pair => ({ client, server, port, protocol: "tcp" });
export const udp = (client: string, server: string, port: number): Pair => ({ client, server, port, protocol: "udp" });
/** Watched throughout: across nodes and on one, both protocols. */
export const kept: readonly Pair[] = [
  tcp("shop-dev/frontend-1", "shop-dev/backend-2", 8080),
  udp("shop-dev/frontend-1", "shop-dev/backend-1", 8080),
  udp("shop-prod/frontend-2", "shop-prod/backend-1", 8080),
  tcp(STRANGER, "shop-prod/frontend-2", 8080),
];
/** Cut by `withoutDatabase`. */
export const database: readonly Pair[] = [
  tcp("shop-dev/backend-2", "shop-dev/db-1", 5432),
  udp("shop-dev/backend-2", "shop-dev/db-2", 5432),
];
/** Dropped as soon as the policy is in force. */
export const denied: readonly Pair[] = [
  tcp("shop-dev/frontend-1", "shop-dev/db-2", 5432),
  tcp(STRANGER, "shop-dev/backend-1", 8080),
  udp("shop-dev/backend-2", "shop-prod/db-1", 5432),
  tcp("shop-prod/frontend-2", STRANGER, 8080),
];
export const watched = [...kept, ...database, ...denied];
