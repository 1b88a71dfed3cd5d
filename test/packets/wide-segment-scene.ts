import { place, type Pair } from "./vigil.ts";
import { STRANGER, tcp, udp } from "./shop.ts";

/** The SegmentPolicy, and the number of namespaces that it is for; a few of them hold pods. */
export const POLICY = "wide";
export const NAMESPACES = 200;
const SEGMENT_LABEL = "tierwall.io/segment";
const OLD_QUARANTINE = "tierwall.io/quarantine";
const NEW_QUARANTINE = "example.com/cut";

/** What changes from step to step; the rest of the SegmentPolicy stays. */
export interface World {
  /** Whether the SegmentPolicy is there. */
  readonly placed: boolean;
  readonly mode: "Enforce" | "Audit";
  /** Over which protocol backend is reached on port 5432; on 8080 it is over both. */
  readonly database: Pair["protocol"];
  /** Whether backend is only what carries `app: shop`, too. */
  readonly narrowBackend: boolean;
  readonly policyTypes: readonly ("Ingress" | "Egress")[];
  readonly quarantineLabel: string;
  /** A namespace that does not carry the segment's label. */
  readonly outside: string | undefined;
}

export const OPEN: World = {
  placed: false, mode: "Enforce", database: "tcp", narrowBackend: false, policyTypes: ["Ingress", "Egress"],
  quarantineLabel: OLD_QUARANTINE, outside: undefined,
};
export const CUT_BY_NEW_LABEL = { quarantineLabel: NEW_QUARANTINE } as const;

interface ScenePod {
  readonly name: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Nothing ever concerns it and the stranger: where they are cut off, the machine was too busy to tell. */
const BYSTANDER = "other/bystander";
const [FIRST, SECOND, THIRD] = ["wide-3", "wide-77", "wide-140"] as const;
/** It leaves the segment for a while. */
export const LEAVER = THIRD;

function member(namespace: string, tier: string, node: string, more: Readonly<Record<string, string>> = {}): ScenePod {
  return { name: `${namespace}/${tier}`, node, labels: { tier, app: "shop", ...more } };
}

export const PODS: readonly ScenePod[] = [
  member(FIRST, "frontend", "node-1"), member(FIRST, "backend", "node-2"),
  // Left behind when backend's selector narrows, and cut off when the quarantine label becomes another.
  { ...member(FIRST, "backend", "node-1", { app: "old" }), name: `${FIRST}/backend-old` },
  { ...member(FIRST, "frontend", "node-2", { [NEW_QUARANTINE]: "yes" }), name: `${FIRST}/frontend-cut` },
  member(SECOND, "frontend", "node-2"), member(SECOND, "backend", "node-2"),
  member(THIRD, "frontend", "node-1"), member(THIRD, "backend", "node-2"),
  { name: STRANGER, node: "node-1", labels: { tier: "stranger" } },
  { name: BYSTANDER, node: "node-2", labels: { tier: "stranger" } },
];
const PODS_BY_NAME = new Map(PODS.map((pod) => [pod.name, pod]));

/** Across nodes and on one, both protocols; every step changes what becomes of some of them. */
const PAIRS: readonly Pair[] = [
  tcp(STRANGER, BYSTANDER, 8080),
  tcp(`${FIRST}/frontend`, `${FIRST}/backend`, 8080),
  udp(`${THIRD}/frontend`, `${THIRD}/backend`, 8080),
  tcp(STRANGER, `${FIRST}/backend`, 8080),
  tcp(`${SECOND}/frontend`, `${SECOND}/backend`, 5432),
  udp(`${SECOND}/frontend`, `${SECOND}/backend`, 5432),
  tcp(`${FIRST}/frontend`, `${FIRST}/backend-old`, 8080),
  udp(`${SECOND}/frontend`, BYSTANDER, 8080),
  tcp(STRANGER, `${FIRST}/frontend-cut`, 8080),
  tcp(STRANGER, `${THIRD}/backend`, 5432),
];

/** The namespaces as they are to be, but that of the stranger. */
export function namespaceObjects(): readonly object[] {
  return Array.from({ length: NAMESPACES }, (_, index) => ({
    apiVersion: "v1", kind: "Namespace", metadata: { name: `wide-${index}`, labels: { [SEGMENT_LABEL]: POLICY } },
  }));
}

/** For `kubectl label`: puts the leaver where the world says. */
export function labelOf({ outside }: World): string {
  return outside === undefined ? `${SEGMENT_LABEL}=${POLICY}` : `${SEGMENT_LABEL}-`;
}

/** anyone → frontend → backend. */
export function policyObject({ mode, database, narrowBackend, policyTypes, quarantineLabel }: World): object {
  const ports = [{ port: 8080 }, { port: 8080, protocol: "UDP" }, { port: 5432, protocol: database.toUpperCase() }];
  const backend = { matchLabels: { tier: "backend", ...(narrowBackend && { app: "shop" }) } };
  const tiers = [
    { name: "frontend", ingress: [{ from: [{ anywhere: {} }], ports: [{ port: 8080 }] }] },
    { name: "backend", podSelector: backend, ingress: [{ from: [{ tier: "frontend" }], ports }] },
  ];
  const namespaceSelector = { matchLabels: { [SEGMENT_LABEL]: POLICY } };
  return {
    apiVersion: "tierwall.io/v1alpha1", kind: "SegmentPolicy", metadata: { name: POLICY },
    spec: { mode, namespaceSelector, policyTypes, quarantineLabel, tiers },
  };
}

/** What the policy text says, worked out without any code of the operator. */
export function allowed(world: World, pair: Pair): boolean {
  const [client, server] = [standing(world, pair.client), standing(world, pair.server)];
  const ruled = world.placed && ruleFor(world, client, server, pair);
  const sends = !client.isolated("Egress") || ruled;
  const takes = !server.isolated("Ingress") || ruled || (server.tier === "frontend" && isPublic(pair));
  return sends && takes;
}

function isPublic({ port, protocol }: Pair): boolean {
  return port === 8080 && protocol === "tcp";
}

interface Standing {
  readonly namespace: string;
  /** `undefined`: of none, or out of it. */
  readonly tier: string | undefined;
  isolated(direction: "Ingress" | "Egress"): boolean;
}

function standing(world: World, pod: string): Standing {
  const found = PODS_BY_NAME.get(pod);
  if (found === undefined) throw new Error(`no pod ${pod}`);
  const [namespace] = place(pod);
  const enforced = world.placed && world.mode === "Enforce";
  const inSegment = enforced && namespace.startsWith("wide-") && namespace !== world.outside;
  const cut = world.quarantineLabel in found.labels;
  const lostTier = world.narrowBackend && found.labels["tier"] === "backend" && found.labels["app"] !== "shop";
  return {
    namespace,
    tier: !inSegment || cut || lostTier ? undefined : found.labels["tier"],
    isolated: (direction) => inSegment && (cut || world.policyTypes.includes(direction)),
  };
}

/** Whether the rule between the two tiers of one namespace names this pair. */
function ruleFor({ database }: World, client: Standing, server: Standing, { port, protocol }: Pair): boolean {
  if (client.namespace !== server.namespace || client.tier !== "frontend" || server.tier !== "backend") return false;
  return port === 8080 || protocol === database;
}

export interface Fates {
  readonly open: readonly Pair[];
  readonly dropped: readonly Pair[];
  readonly cut: readonly Pair[];
  readonly opened: readonly Pair[];
}

/** Of each fate so many are watched: probes at this rate cost as much as the roll-out itself. */
const MOST = { open: 3, dropped: 1, cut: 2, opened: 2 };

/** The pairs to watch by what becomes of them between two worlds. */
export function fates(before: World, after: World): Fates {
  const of = (was: boolean, is: boolean, most: number) =>
    PAIRS.filter((pair) => allowed(before, pair) === was && allowed(after, pair) === is).slice(0, most);
  return {
    open: of(true, true, MOST.open), dropped: of(false, false, MOST.dropped),
    cut: of(true, false, MOST.cut), opened: of(false, true, MOST.opened),
  };
}
