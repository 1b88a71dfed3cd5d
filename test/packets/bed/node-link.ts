import { fileURLToPath } from "node:url";
import { DEFAULT_ENFORCER_SETTINGS, type EnforcerSettings } from "../../../operator/api/enforcer-settings.ts";
import type { NodeDelta, NodeState } from "../../../operator/api/node-state.ts";
import { Follower } from "../../../operator/stream/follower.ts";
import { PROTOCOL } from "../../../operator/stream/wire.ts";
import { type NodeHost, POD_NETS } from "./address-plan.ts";
import { LineWorker } from "../../lab/line-worker.ts";
import type { Step } from "./mortal-netfilter.ts";
import type { NodeOrder, Standing } from "./node-worker.ts";
import type { FirewallOptions } from "./product-agent.ts";

const program = fileURLToPath(new URL("node-worker.ts", import.meta.url));

/** Connections of a peer that leaves may live for so long. */
export const leaversMs = 300;
/** How much longer that may take on a busy machine before it counts as wrong. */
export const patienceMs = 3000;

/** The operator's end of one node's stream, with the node's worker at the other. */
export class NodeLink {
  readonly #node: NodeHost;
  readonly #worker: LineWorker;
  readonly #options: FirewallOptions;
  #follower: Follower | undefined;
  #sent = "";

  private constructor(node: NodeHost, worker: LineWorker, options: FirewallOptions) {
    this.#node = node;
    this.#options = options;
    this.#worker = worker;
  }

  /** @param enter words that make a command run inside the node */
  static async start(
    node: NodeHost, enter: readonly string[], env: Readonly<Record<string, string>>, options: FirewallOptions,
  ): Promise<NodeLink> {
    const link = new NodeLink(node, new LineWorker([...enter, process.execPath, program], env), options);
    await link.#order({ do: "start", options });
    return link;
  }

  /** Begins a stream anew, as after a restart of the operator, and waits until the node has applied all of it. */
  async greet(settings: Partial<EnforcerSettings>, state: NodeState): Promise<void> {
    await this.#order({ do: "connect", node: this.#node });
    const sink = {
      write: (text: string): boolean => {
        this.#sent += text;
        return true;
      },
      end: () => undefined,
    };
    this.#follower = new Follower({ sink, state: () => state, versions: () => ({}), pendingLimit: 1e6 });
    const hello = {
      type: "hello", protocol: PROTOCOL, version: "bed", node: this.#node,
      settings: { ...DEFAULT_ENFORCER_SETTINGS, leaversMs, backend: this.#options.backend, ...settings, ...this.#options.settings },
      podCIDRs: Object.values(POD_NETS[this.#node]),
    } as const;
    this.#follower.greet(hello, state);
    await this.#flush();
  }

  async change(delta: NodeDelta): Promise<void> {
    this.#follower?.change(delta);
    await this.#flush();
  }

  /** What the node says of itself now. */
  async standing(): Promise<Standing> {
    return await this.#order({ do: "standing" }) as Standing;
  }

  /** The node's enforcer gets a SIGKILL right after this step of a change. */
  async killAfter(step: Step): Promise<void> {
    await this.#order({ do: "die", after: step });
  }

  /** When the enforcer has ended. */
  get ended(): Promise<void> {
    return this.#worker.ended;
  }

  /** Of the enforcer's process. */
  get pid(): number | undefined {
    return this.#worker.pid;
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }

  async #flush(): Promise<void> {
    const text = this.#sent;
    this.#sent = "";
    await this.#order({ do: "stream", text });
  }

  #order(order: NodeOrder): Promise<unknown> {
    return this.#worker.order(order);
  }
}
