import type { ChildProcess } from "node:child_process";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { buildTraffic } from "../../image/build-traffic.mjs";
import { Prober } from "../../lab/prober.ts";
import { EnforcedNode, ENFORCER } from "../enforced-node.ts";
import { HOSTS } from "../enforcer-cases.ts";
import { addForeignRules, allRules } from "../foreign-rules.ts";
import { type Place, Vigil, type VigilReport } from "../vigil.ts";
import { Conversation } from "./conversation.ts";
import { ALLOWED, CHANGING, KEPT, NEVER } from "./stream-scene.ts";
import { endServers, serveTraffic } from "./traffic-servers.ts";

const PODS = ["web", "db"] as const;
/** More than is promised: a busy machine sends fewer. */
const FLOWS_A_SECOND = 250;

/** A node that Tierwall leaves while its pods talk. Others have rules there too. */
export class LeavingScene implements Place {
  readonly node: EnforcedNode;
  readonly #backend: Backend;
  readonly #before: string;
  readonly #traffic: string;
  readonly #servers: readonly ChildProcess[];
  #generation = 0;

  private constructor(node: EnforcedNode, backend: Backend, before: string, traffic: string) {
    this.node = node;
    this.#backend = backend;
    this.#before = before;
    this.#traffic = traffic;
    const ports = KEPT.concat(NEVER).map(({ port }) => port);
    this.#servers = PODS.map((pod) => serveTraffic(this.#enter(pod), traffic, pod, ports));
  }

  static async create(backend: Backend): Promise<LeavingScene> {
    const traffic = await buildTraffic();
    const node = await EnforcedNode.create();
    try {
      await addForeignRules(node.network);
      return new LeavingScene(node, backend, await allRules(node.network), traffic);
    } catch (error) {
      await node.remove();
      throw error;
    }
  }

  async remove(): Promise<void> {
    await endServers(this.#servers);
    await this.node.remove();
  }

  /** An operator that lets an enforcer wall pods off. */
  async enforce(): Promise<void> {
    await this.#operator(false);
    await this.node.enforce(ALLOWED, (this.#generation += 1));
    await this.node.calm();
  }

  /**
   * An operator that has enforcement switched off; returns when the node says that it is retired.
   * @param begins called when the node has no operator any more, and has not heard of this one
   */
  async retire(begins: () => void): Promise<void> {
    await this.node.stopOperator();
    begins();
    await this.#operator(true);
    await this.node.untilStatus(({ conditions }) => conditions.some(({ reason }) => reason === "Retired"));
  }

  /** What an administrator does on a node whose enforcer has ended. */
  async cleanUp(): Promise<void> {
    await this.node.network.inNode(process.execPath, ENFORCER, "cleanup", `--state-directory=${this.node.stateDirectory}`);
  }

  /** Whether the kernel holds what it held before Tierwall came: in both backends and families, with sets. */
  async isAsBefore(): Promise<boolean> {
    return (await allRules(this.node.network)) === this.#before;
  }

  /** What probes of all pairs saw while something was done, through which a long TCP and a UDP flow were never broken. */
  async underProbes(act: (vigil: Vigil) => Promise<void>): Promise<VigilReport> {
    const to = await this.podIP("default", "web");
    const port = KEPT[0]?.port ?? 0;
    const kept = await Conversation.open({ enter: this.#enter("db"), traffic: this.#traffic, to, port });
    let vigil: Vigil | undefined;
    try {
      vigil = await Vigil.start(this, [...KEPT, ...CHANGING, ...NEVER], FLOWS_A_SECOND);
      await act(vigil);
      await kept.assertUnbroken();
    } catch (error) {
      await vigil?.stop().catch(() => undefined);
      throw error;
    } finally {
      await kept.stop();
    }
    return await vigil.stop();
  }

  async prober(_namespace: string, pod: string): Promise<Prober> {
    return new Prober([...this.#enter(pod), this.#traffic, "probe"], {});
  }

  async podIP(_namespace: string, pod: string): Promise<string> {
    return pod === "web" ? HOSTS.web[0] : HOSTS.db[0];
  }

  async #operator(retiring: boolean): Promise<void> {
    await this.node.stopOperator();
    await this.node.startOperator({ backend: this.#backend, diskCopyMs: 50, retiring });
  }

  #enter(pod: string): readonly string[] {
    return ["ip", "netns", "exec", this.node.network.namespace(pod)];
  }
}
