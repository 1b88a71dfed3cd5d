/** Runs the enforcer's loop inside a node of the bed: one order a line on stdin, one answer a line on stdout. */
import { createInterface } from "node:readline";
import type { NodeState } from "../../../operator/api/node-state.ts";
import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import type { Agent } from "../../../operator/enforcer/agent.ts";
import { SYSTEM_CLOCK } from "../../../operator/enforcer/clock.ts";
import { type NodeReport, segmentNodeStatus } from "../../../operator/enforcer/node-report.ts";
import { BatchAssembler } from "../../../operator/stream/batch.ts";
import { parseMessage } from "../../../operator/stream/codec.ts";
import { Doom, type Step } from "./mortal-netfilter.ts";
import { type FirewallOptions, productAgent } from "./product-agent.ts";

export type NodeOrder =
  | { readonly do: "start"; readonly options: FirewallOptions }
  /** Another stream begins: what is in force stays. */
  | { readonly do: "connect"; readonly node: string }
  /** What the operator has sent: whole lines. Answered when the agent has confirmed all of it. */
  | { readonly do: "stream"; readonly text: string }
  /** Answered with a `Standing`. */
  | { readonly do: "standing" }
  /** The worker gets a SIGKILL right after this step of a change. */
  | { readonly do: "die"; readonly after: Step };

/** What an enforcer has said of its node last. */
export interface Standing {
  /** As its SegmentNode would have it; absent while it has said nothing. */
  readonly status?: SegmentNodeStatus;
  /** The newest state that it was sent is in force, and nothing has failed since. */
  readonly current: boolean;
}

class NodeWorker {
  #agent: Agent | undefined;
  #assembler: BatchAssembler | undefined;
  #running = false;
  #status: SegmentNodeStatus | undefined;
  #current = false;
  readonly #doom = new Doom();
  #waiting: { readonly state: NodeState; readonly confirmed: PromiseWithResolvers<void> } | undefined;

  async obey(order: NodeOrder): Promise<Standing | undefined> {
    switch (order.do) {
      case "start":
        this.#agent = productAgent(order.options, this.#doom, (report) => this.#hear(report), {
          info: () => undefined,
          warn: (message, fields) => process.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
          // Failures come as reports.
          error: () => undefined,
        });
        return undefined;
      case "connect":
        this.#assembler = new BatchAssembler(order.node);
        return undefined;
      case "stream":
        for (const line of order.text.split("\n").filter((text) => text !== "")) await this.#take(line);
        return undefined;
      case "standing":
        return { current: this.#current, ...(this.#status && { status: this.#status }) };
      case "die":
        this.#doom.seal(order.after);
        return undefined;
    }
  }

  async #take(line: string): Promise<void> {
    if (this.#agent === undefined || this.#assembler === undefined) throw new Error("not started and connected");
    const whole = this.#assembler.take(parseMessage(line));
    if (whole === undefined || ("type" in whole && whole.type === "retire")) return;
    if (!("state" in whole)) {
      this.#agent.configure({ ...whole.settings, podCIDRs: whole.podCIDRs });
      // Not earlier: it would begin with the backend of this machine instead of the bed's.
      if (!this.#running) void this.#agent.run(new AbortController().signal);
      this.#running = true;
      return;
    }
    this.#current = false;
    this.#waiting = { state: whole.state, confirmed: Promise.withResolvers() };
    this.#agent.receive(whole.state);
    await this.#waiting.confirmed.promise;
  }

  #hear(report: NodeReport): void {
    const { state, failure } = report;
    this.#status = segmentNodeStatus(report, this.#status, "bed", SYSTEM_CLOCK.timestamp());
    this.#current = failure === undefined && state === this.#waiting?.state;
    // That it takes long is said, and is no end.
    if (failure !== undefined && failure.reason !== "ApplyStalled") this.#waiting?.confirmed.reject(new Error(`${failure.reason}: ${failure.message}`));
    else if (state === this.#waiting?.state) this.#waiting?.confirmed.resolve();
  }
}

if (import.meta.main) {
  const worker = new NodeWorker();
  // None waits for the one before it: a change that takes long is one of which somebody asks how it stands.
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, ...order } = JSON.parse(line) as NodeOrder & { readonly id: number };
    void worker.obey(order).then(
      (outcome) => ({ id, outcome: outcome ?? true }),
      (error: unknown) => ({ id, failure: error instanceof Error ? error.message : String(error) }),
    ).then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
  }
  process.exit(0);
}
