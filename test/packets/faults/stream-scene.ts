import type { ChildProcess } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { EnforcerSettings } from "../../../operator/api/enforcer-settings.ts";
import type { ResolvedPort } from "../../../operator/api/node-state.ts";
import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import { buildTraffic } from "../../image/build-traffic.mjs";
import { monotonicMs, Prober } from "../../lab/prober.ts";
import { waitFor } from "../../lab/wait.ts";
import { EnforcedNode } from "../enforced-node.ts";
import { HOSTS } from "../enforcer-cases.ts";
import type { Worker } from "../enforcer-network.ts";
import { SEGMENT } from "../enforcer-operator.ts";
import type { StateDraft } from "../enforcer-state.ts";
import { type Pair, type Place, Vigil, type VigilReport } from "../vigil.ts";
import { Conversation } from "./conversation.ts";
import type { FaultyOrder, Many } from "./stream-operator.ts";
import { endServers, serveTraffic } from "./traffic-servers.ts";

type Pod = "web" | "db";

const PROGRAM = fileURLToPath(new URL("stream-operator.ts", import.meta.url));
const PORT = 8080;
const STRANGE_PORT = 8081;
const [WEB] = HOSTS.web;
const [DB] = HOSTS.db;
/** On a busy machine, with the enforcer's pauses between attempts. */
const SOON = { timeoutMs: 40_000, everyMs: 25 };

const PODS: StateDraft["pods"] = { web: { address: WEB, ingress: ["web"] }, db: { address: DB, ingress: ["db"] } };
const DBS = { peers: ["dbs"], ports: onPort(PORT) };

/** `db` may talk to `web`, and nobody to `db`. */
export const DENIED: StateDraft = {
  pods: PODS, policies: { web: { ingress: [DBS] }, db: {} }, peers: { dbs: [DB] },
};
/** The set `webs` may talk to `db`, and to `web` on a port on which `db` would like to be heard. */
export const ALLOWED: StateDraft = {
  pods: PODS,
  policies: {
    web: { ingress: [DBS, { peers: ["webs"], ports: onPort(STRANGE_PORT) }] },
    db: { ingress: [{ peers: ["webs"], ports: onPort(PORT) }] },
  },
  peers: { dbs: [DB], webs: [WEB] },
};

export const CHANGING = pairs("web", "db", PORT);
export const KEPT = pairs("db", "web", PORT);
export const NEVER = pairs("db", "web", STRANGE_PORT);

/** An enforcer as a process, under probes, and an operator that can do it harm. */
export class StreamScene implements Place {
  readonly node: EnforcedNode;
  readonly #operator: Worker;
  readonly #servers: readonly ChildProcess[];
  readonly #traffic: string;
  #generation = 0;

  private constructor(node: EnforcedNode, operator: Worker, servers: readonly ChildProcess[], traffic: string) {
    this.node = node;
    this.#operator = operator;
    this.#servers = servers;
    this.#traffic = traffic;
  }

  /** With an enforcer that has nothing in force yet. @param path where it finds its tools; absent = where we do */
  static async create(
    settings: Partial<EnforcerSettings> = {}, program?: readonly string[], path?: string,
  ): Promise<StreamScene> {
    const traffic = await buildTraffic();
    const node = await EnforcedNode.create();
    try {
      const files = ["ca.crt", "tls.key"].map((name) => join(dirname(node.stateDirectory), name));
      const operator = await node.network.worker("node", PROGRAM, ...files, JSON.stringify(settings));
      const scene = new StreamScene(node, operator, ["web", "db"].map((pod) => serve(node, pod, traffic)), traffic);
      node.start(program, path);
      return scene;
    } catch (error) {
      await node.remove();
      throw error;
    }
  }

  async remove(): Promise<void> {
    await endServers(this.#servers);
    await this.node.remove();
  }

  order<Outcome>(order: FaultyOrder): Promise<Outcome> {
    return this.#operator.order<Outcome>(order);
  }

  /** The state that the next connection gets. @returns its generation */
  async offer(state: StateDraft, many?: Many): Promise<number> {
    const generation = (this.#generation += 1);
    await this.order({ do: "state", state, generation, many });
    return generation;
  }

  /** Offers a state in a stream that is begun anew, and waits until it is confirmed. */
  async enforce(state: StateDraft, many?: Many): Promise<SegmentNodeStatus> {
    const revision = `r${await this.offer(state, many)}`;
    await this.order({ do: "hang up" });
    return await this.untilStatus(revision, ({ policies, conditions }) => {
      const confirmed = policies.some((policy) => policy.name === SEGMENT && policy.revision === revision);
      return confirmed && conditions.some(({ reason }) => reason === "Enforcing");
    });
  }

  /** The newest status, once it is as wanted. */
  async untilStatus(what: string, wanted: (status: SegmentNodeStatus) => boolean): Promise<SegmentNodeStatus> {
    return await waitFor(`a SegmentNode that says ${what}`, async () => {
      const status = (await this.order<SegmentNodeStatus[]>({ do: "statuses" })).at(-1);
      if (status !== undefined && wanted(status)) return status;
      throw new Error(`the newest says ${JSON.stringify(status?.conditions)}`);
    }, SOON);
  }

  /** To be called before something is done: what it gives waits until the enforcer has logged this so often since. */
  saidAgain(message: string, times = 1): () => Promise<void> {
    const said = () => this.node.log.filter((line) => line.message === message).length;
    const wanted = said() + times;
    return async () => {
      await waitFor(`"${message}" in the log`, () => said() >= wanted || undefined, SOON);
    };
  }

  /**
   * What probes saw while something was done, through which a long conversation of the pair that is always allowed was
   * never broken. They end with it, however that ends.
   */
  async underProbes(act: (vigil: Vigil) => Promise<void>): Promise<VigilReport> {
    const kept = await this.converse("db", "web");
    try {
      return await this.underNewFlows(async (vigil) => {
        await act(vigil);
        await kept.assertUnbroken();
      });
    } finally {
      await kept.stop();
    }
  }

  /** The same without that conversation. */
  async underNewFlows(act: (vigil: Vigil) => Promise<void>): Promise<VigilReport> {
    const vigil = await this.watch();
    try {
      await act(vigil);
    } catch (error) {
      await vigil.stop().catch(() => undefined);
      throw error;
    }
    return await vigil.stop();
  }

  /** Probes everything until they are stopped. */
  async watch(): Promise<Vigil> {
    return await Vigil.start(this, [...KEPT, ...CHANGING, ...NEVER]);
  }

  /** @param to `strangers` = where `web` is never to be heard, while that has a way */
  async converse(client: Pod, to: Pod | "strangers"): Promise<Conversation> {
    const port = to === "strangers" ? STRANGE_PORT : PORT;
    return await Conversation.open({
      enter: this.#enter(client), traffic: this.#traffic, to: to === "db" ? DB : WEB, port,
    });
  }

  /** Opens what must never be, and lets time pass: from then on both its connection and its flow must be silent. */
  async assertSlippedIsCut(passed: () => Promise<unknown>): Promise<void> {
    const slipped = await this.converse("db", "strangers");
    try {
      await passed();
      await slipped.assertSilent(monotonicMs());
    } finally {
      await slipped.stop();
    }
  }

  /**
   * What never may has been allowed by harm that was done to the rules, and is no more.
   * @param harm done while the enforcer looks away @param repaired waits until it has put that right
   */
  async assertCut(harm: () => Promise<unknown>, repaired: () => Promise<unknown>): Promise<void> {
    const { pid } = this.node;
    const goOn = () => process.kill(pid, "SIGCONT");
    process.kill(pid, "SIGSTOP");
    try {
      await harm();
      await this.assertSlippedIsCut(async () => {
        goOn();
        await repaired();
      });
    } finally {
      goOn();
    }
  }

  async prober(_namespace: string, pod: string): Promise<Prober> {
    return new Prober([...this.#enter(pod), this.#traffic, "probe"], {});
  }

  async podIP(_namespace: string, pod: string): Promise<string> {
    return pod === "web" ? WEB : DB;
  }

  #enter(pod: string): readonly string[] {
    return ["ip", "netns", "exec", this.node.network.namespace(pod)];
  }
}

function pairs(client: Pod, server: Pod, port: number): readonly Pair[] {
  return (["tcp", "udp"] as const).map((protocol) => (
    { client: `default/${client}`, server: `default/${server}`, port, protocol }
  ));
}

function onPort(port: number): readonly ResolvedPort[] {
  return [{ protocol: "TCP", port }, { protocol: "UDP", port }];
}

/** It ends with this process, however that ends. */
function serve(node: EnforcedNode, pod: string, traffic: string): ChildProcess {
  const inPod = ["ip", "netns", "exec", node.network.namespace(pod)];
  return serveTraffic(inPod, traffic, pod, [PORT, STRANGE_PORT]);
}
