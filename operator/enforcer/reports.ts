import type { NodeState } from "../api/node-state.ts";
import type { Finding } from "./finding.ts";
import type { LineLogger } from "./line-logger.ts";
import type { Backend } from "./netfilter/netfilter.ts";
import type { Applied } from "./node-firewall.ts";
import type { Failure, NodeReport } from "./node-report.ts";

/** What is in force, and what came of bringing it there. */
export interface InForce {
  readonly state: NodeState;
  readonly result: Applied;
}

/** What an agent says of its node. What is wrong with the stream is added to whatever else there is to say. */
export class Reports {
  readonly #report: (report: NodeReport) => void;
  readonly #backend: () => Backend;
  readonly #log: LineLogger;
  /** What is wrong with the stream, from a batch that was refused to the next good one. */
  #refused: Finding | undefined;
  /** The last report, without that. */
  #told: NodeReport | undefined;
  #said: ReadonlySet<string> = new Set();

  constructor(report: (report: NodeReport) => void, backend: () => Backend, log: LineLogger) {
    this.#report = report;
    this.#backend = backend;
    this.#log = log;
  }

  inForce({ state, result }: InForce, standing: "Enforcing" | "EnforcingDiskCopy"): void {
    this.#say(result.findings);
    this.#tell({ state, ...result, standing, backend: this.#backend(), failure: undefined });
  }

  /** @param wrote whether there was anything to take away */
  retired(wrote: boolean): void {
    this.#tell({ ...this.#nothing(), wrote, standing: "Retired", failure: undefined });
  }

  /** @param standing what stays in force, as far as the failure does not put that in doubt */
  failed(standing: InForce | undefined, failure: Failure): void {
    const kept = standing === undefined ? {} : { state: standing.state, ...standing.result };
    this.#tell({ ...this.#nothing(), ...kept, wrote: false, leaversDue: undefined, standing: "Enforcing", failure });
  }

  /** The stream makes no sense: what is in force stays. */
  refused(reason: string): void {
    const message = `the operator's stream makes no sense, what was in force before stays: ${reason}`;
    this.#refused = { reason: "StreamRefused", message, holds: true };
    if (this.#told !== undefined) this.#tell({ ...this.#told, wrote: false });
    else this.#report({ ...this.#nothing(), standing: "Enforcing", failure: this.#refused });
  }

  /** The stream makes sense again; it is said with the next report. */
  understood(): void {
    this.#refused = undefined;
  }

  #tell(report: NodeReport): void {
    this.#told = report;
    const { findings } = report;
    this.#report(this.#refused === undefined ? report : { ...report, findings: [...findings, this.#refused] });
  }

  #nothing(): Omit<NodeReport, "standing" | "failure"> {
    const rules = { ipv4: 0, ipv6: 0 };
    return { state: undefined, wrote: false, rules, sets: 0, findings: [], leaversDue: undefined, backend: this.#backend() };
  }

  /** Each finding once, when it is new. */
  #say(findings: readonly Finding[]): void {
    for (const finding of findings) {
      if (!this.#said.has(finding.message)) this.#log.warn("something is wrong with the node", { ...finding });
    }
    this.#said = new Set(findings.map(({ message }) => message));
  }
}
