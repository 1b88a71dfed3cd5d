import type { Lab } from "../test/lab/lab.ts";
import type { Expectation, Matrix, Reach, Target } from "./matrix.ts";

/** One pod of the story. */
export interface Member {
  readonly namespace: string;
  readonly tier: string;
  readonly node: string;
  readonly port: number;
}

/** Two copies of one shop and a stranger, spread so that both copies talk across nodes. */
export const MEMBERS: readonly Member[] = [
  { namespace: "shop-dev", tier: "frontend", node: "node-1", port: 8080 },
  { namespace: "shop-dev", tier: "backend", node: "node-2", port: 8080 },
  { namespace: "shop-dev", tier: "db", node: "node-1", port: 5432 },
  { namespace: "shop-prod", tier: "frontend", node: "node-2", port: 8080 },
  { namespace: "shop-prod", tier: "backend", node: "node-1", port: 8080 },
  { namespace: "shop-prod", tier: "db", node: "node-2", port: 5432 },
  { namespace: "other", tier: "stranger", node: "node-1", port: 8080 },
];

export function nameOf({ namespace, tier }: Member): string {
  return `${namespace}/${tier}`;
}

/** Namespaces, those of the shop labelled for the segment. */
export function namespaceManifests(): readonly object[] {
  const names = [...new Set(MEMBERS.map(({ namespace }) => namespace))];
  return names.map((name) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, ...(name.startsWith("shop-") && { labels: { "tierwall.io/segment": "shop" } }) },
  }));
}

/** Probes every pair of pods at once, each by one TCP connection. */
export async function reachability(lab: Lab): Promise<Matrix> {
  const targets = MEMBERS.map(({ namespace, tier, port }): Target => ({ namespace, pod: tier, port }));
  const addresses = await Promise.all(MEMBERS.map(({ namespace, tier }) => lab.podIP(namespace, tier)));
  const rows = await Promise.all(
    MEMBERS.map(async (client) => {
      const prober = await lab.prober(client.namespace, client.tier);
      const reached = await Promise.all(
        MEMBERS.map(async ({ port }, index): Promise<Reach> => {
          const { result, error } = await prober.probe({
            to: addresses[index] ?? "",
            port,
            protocol: "tcp",
            timeoutMs: 700,
          });
          if (result === "error")
            throw new Error(`${nameOf(client)} → ${targets[index]?.pod ?? ""}: ${error ?? "failed"}`);
          return result;
        }),
      );
      await prober.stop();
      return [nameOf(client), reached] as const;
    }),
  );
  return { clients: MEMBERS.map(nameOf), targets, reached: new Map(rows) };
}

/** Without a policy everybody reaches everybody. */
export const everythingOpen: Expectation = () => true;

/** What `config/samples/shop.yaml` says: per namespace anywhere → frontend → backend → db, and nothing else. */
export const asTheShopSays: Expectation = (client, { namespace, pod }) => {
  const [fromNamespace = "", fromTier = ""] = client.split("/");
  // A pod may always talk to itself.
  if (client === `${namespace}/${pod}`) return true;
  // Anybody may come to the frontend, but who is in the segment goes only where its own tier may.
  if (pod === "frontend") return fromTier === "stranger";
  const allowed = [
    ["frontend", "backend"],
    ["backend", "db"],
  ].some(([from, to]) => from === fromTier && to === pod);
  return fromNamespace === namespace && allowed;
};

/** The same without backend → db. */
export const withoutTheDatabase: Expectation = (client, target) => {
  const cut = client.endsWith("/backend") && target.pod === "db";
  return !cut && asTheShopSays(client, target);
};
