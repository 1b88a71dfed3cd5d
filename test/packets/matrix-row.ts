import assert from "node:assert/strict";
import type { AddressPlan, CasePacket, CaseRow, CaseStep, ClusterDraft, StepRow } from "../cases/case.ts";
import { rawCluster } from "../cases/raw-cluster.ts";
import { ADDRESSES } from "./bed/address-plan.ts";
import type { Bed } from "./bed/bed.ts";
import { leaversMs, patienceMs } from "./bed/node-link.ts";
import { describe, type Flow, type Probe } from "./bed/prober.ts";
import type { BedService, ServiceAddress } from "./bed/service-plane.ts";

/** Where a row is played. */
export interface Stage {
  readonly bed: Bed;
  readonly plan: AddressPlan;
  readonly serviceAddress: (service: BedService) => ServiceAddress;
  /**
   * Whether the server of a cut flow is cut too. Without marks on connections that cannot be for UDP: what it sends is
   * then the first packet of a new flow of its own.
   */
  readonly cutsServers: (protocol: "TCP" | "UDP") => boolean;
}

/** Plays the row and returns how many packets were judged. @throws AssertionError that lists what went another way */
export async function play(row: CaseRow | StepRow, stage: Stage): Promise<number> {
  const player = new RowPlayer(stage);
  const steps: readonly CaseStep[] = "steps" in row ? row.steps : [{ apply: row.cluster }, { packets: row.packets }];
  try {
    for (const step of steps) await player.play(step);
  } finally {
    await player.end();
  }
  return player.judged;
}

interface KeptFlows {
  readonly flows: readonly Flow[];
  readonly protocol: "TCP" | "UDP";
}

class RowPlayer {
  judged = 0;
  readonly #stage: Stage;
  readonly #kept = new Map<string, KeptFlows>();
  #services: readonly BedService[] = [];

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  async play(step: CaseStep): Promise<void> {
    if ("apply" in step) await this.#apply(step.apply);
    else if ("packets" in step) await this.#judge(step.packets);
    else if ("connect" in step) await this.#connect(step);
    else await this.#ask(step.ask, step.expect);
  }

  async end(): Promise<void> {
    await this.#stage.bed.prober.close([...this.#kept.values()].flatMap(({ flows }) => flows));
  }

  async #apply(draft: ClusterDraft | ((plan: AddressPlan) => ClusterDraft)): Promise<void> {
    const cluster = rawCluster(draft, this.#stage.plan);
    this.#services = cluster.services;
    await this.#stage.bed.apply(cluster);
  }

  async #judge(packets: readonly CasePacket[]): Promise<void> {
    const sent = packets.flatMap((packet) => (
      this.#probesOf(packet).map((probe) => ({ probe, open: packet.expect === "open" }))
    ));
    const expected = sent.map(({ open }) => open);
    const passes = await this.#stage.bed.prober.passes(sent.map(({ probe }) => probe), expected);
    const wrong = sent.flatMap(({ probe, open }, index) => (
      passes[index] === open ? [] : [`${describe(probe)} is ${open ? "dropped" : "open"}`]
    ));
    assert.deepEqual(wrong, []);
    this.judged += sent.length;
  }

  #probesOf({ from, to, protocol, port, family }: CasePacket): readonly Probe[] {
    const { plan, serviceAddress } = this.#stage;
    const families = plan.families.filter((each) => family === undefined || each === family);
    if (typeof to === "string") {
      return families.map((each) => (
        { from, to: ADDRESSES[to][each], protocol, ...(port !== undefined && { port }) }
      ));
    }
    const service = this.#services.find(({ name }) => name === to.service);
    if (service === undefined) throw new Error(`the row has no Service ${to.service}`);
    const { clusterIPs, port: servicePort, nodePort } = serviceAddress(service);
    return families.map((each) => (to.node === undefined
      ? { from, protocol, to: clusterIPs[each], port: servicePort }
      : { from, protocol, to: ADDRESSES[to.node][each], port: nodePort }));
  }

  async #connect({ connect, from, to, protocol, port }: Extract<CaseStep, { connect: string }>): Promise<void> {
    const probes = this.#stage.plan.families.map((family) => ({ from, to: ADDRESSES[to][family], protocol, port }));
    const flows = (await this.#stage.bed.prober.open(probes)).filter((flow) => flow !== undefined);
    this.#kept.set(connect, { flows, protocol });
    assert.equal(flows.length, probes.length, `${connect} is open`);
  }

  async #ask(id: string, expect: "answered" | "cut"): Promise<void> {
    const kept = this.#kept.get(id);
    if (kept === undefined) throw new Error(`the row has no connection ${id}`);
    const { flows, protocol } = kept;
    const { prober } = this.#stage.bed;
    const answered = expect === "answered";
    let answers = await prober.echo(flows, answered ? 1000 : 200);
    const patience = performance.now() + patienceMs;
    while (answers.some((answer) => answer !== answered) && performance.now() < patience) {
      await new Promise((resolve) => setTimeout(resolve, leaversMs));
      answers = await prober.echo(flows, 1000);
    }
    assert.deepEqual(answers, flows.map(() => answered), `${id} is ${expect}`);
    if (!answered && this.#stage.cutsServers(protocol)) {
      const pushes = await prober.push(flows, 200);
      assert.deepEqual(pushes, flows.map(() => false), `the server of ${id} is cut too`);
    }
    this.judged += flows.length;
  }
}
