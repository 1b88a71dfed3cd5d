import { errorMessage } from "../api/error-message.ts";
import { VERSION } from "../version.ts";
import { type ConnectionState, StreamClient } from "../stream/client.ts";
import { Agent } from "./agent.ts";
import type { EnforcerArguments } from "./arguments.ts";
import { SYSTEM_CLOCK } from "./clock.ts";
import type { NodeCopy } from "./disk-copy.ts";
import { LinuxHost } from "./host.ts";
import type { LineLogger } from "./line-logger.ts";
import { chooseBackend } from "./netfilter/backend-choice.ts";
import { CommandNetfilter } from "./netfilter/command-netfilter.ts";
import { WarmNetfilter } from "./netfilter/warm-netfilter.ts";
import { NodeFirewall } from "./node-firewall.ts";
import { NodeMemory } from "./node-memory.ts";
import { serveMetrics } from "./metrics-server.ts";
import { metricsText } from "./metrics-text.ts";
import { listen } from "./packet-log/listener.ts";
import { PacketLog } from "./packet-log/packet-log.ts";
import { serveProbes } from "./probe-server.ts";
import { SegmentNodeReporter } from "./segment-node-reporter.ts";
import { SegmentNodeWriter } from "./segment-node-writer.ts";

/** The process on each node: stream → agent → kernel, and what became of it → SegmentNode. */
export class Enforcer {
  readonly #arguments: EnforcerArguments;
  readonly #log: LineLogger;
  readonly #writer: SegmentNodeWriter;
  readonly #reporter: SegmentNodeReporter;
  readonly #agent: Agent;
  readonly #memory: NodeMemory | undefined;
  readonly #packets: PacketLog;

  constructor(given: EnforcerArguments, log: LineLogger) {
    const { node, stateDirectory } = given;
    const ports = { log, clock: SYSTEM_CLOCK, random: Math.random };
    this.#arguments = given;
    this.#log = log;
    this.#writer = new SegmentNodeWriter(given.api, node);
    this.#reporter = new SegmentNodeReporter({ ...ports, sink: this.#writer, version: VERSION });
    this.#memory = stateDirectory === "" ? undefined : new NodeMemory({ ...ports, directory: stateDirectory, node });
    this.#packets = new PacketLog({ ...ports, listen });
    this.#agent = new Agent({
      ...ports,
      ...(this.#memory && { memory: this.#memory }),
      packets: this.#packets,
      firewall: new NodeFirewall({
        netfilter: (backend) => new WarmNetfilter(new CommandNetfilter(backend)),
        chooseBackend,
        host: new LinuxHost(),
        monotonic: SYSTEM_CLOCK.monotonic,
      }),
      report: (report) => this.#reporter.report(report),
    });
  }

  /** Works until the signal is aborted. @throws Error if the probes' port is taken. */
  async run(signal: AbortSignal): Promise<void> {
    const { node, probes, metricsPort } = this.#arguments;
    this.#log.info("enforcer starts", { node, version: VERSION });
    await serveProbes(probes, () => this.#agent.ready, signal);
    if (metricsPort !== 0) await this.#serveMetrics(metricsPort, signal);
    const copy = await this.#memory?.recall();
    if (copy !== undefined) this.#agent.recall(copy);
    await Promise.all([
      this.#agent.run(signal),
      this.#reporter.run(signal),
      this.#stream(copy).run(signal),
      this.#memory?.run(signal),
      this.#packets.run(signal),
    ]);
    this.#writer.close();
  }

  /** A port that somebody else has must not keep a node from its rules. */
  async #serveMetrics(port: number, signal: AbortSignal): Promise<void> {
    try {
      await serveMetrics(port, async () => metricsText(await this.#agent.figures(signal)), signal);
    } catch (error) {
      this.#log.warn("there are no metrics", { port, reason: errorMessage(error) });
    }
  }

  #stream(copy: NodeCopy | undefined): StreamClient {
    const { node, operator, caFile, tokenFile } = this.#arguments;
    return new StreamClient({
      node,
      host: operator.host,
      port: operator.port,
      serverName: operator.name,
      caFile,
      tokenFile,
      ...(copy && { since: copy.versions }),
      sleep: SYSTEM_CLOCK.sleep,
      monotonic: SYSTEM_CLOCK.monotonic,
      random: Math.random,
      onHello: ({ settings, podCIDRs }) => this.#agent.configure({ ...settings, podCIDRs }),
      onBatch: ({ state, revision }) => this.#agent.receive(state, revision.versions),
      onRefusedBatch: (reason) => this.#agent.refuse(reason),
      onRetire: () => this.#agent.retire(),
      onState: (state, message) => this.#follow(state, message),
    });
  }

  #follow(state: ConnectionState, message: string): void {
    if (state === "connecting" || state === "connected") this.#log.info(`stream ${state}`, { operator: message });
    else this.#log.warn(`stream ${state}`, { reason: message });
  }
}
