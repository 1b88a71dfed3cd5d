import assert from "node:assert/strict";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { NetfilterError } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { segmentNodeStatus } from "../../../operator/enforcer/node-report.ts";
import { nodeState } from "../../packets/enforcer-state.ts";
import { guarded, inForce, Stage } from "./agent-stage.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { VirtualClock } from "./virtual-clock.ts";

const PERIOD_MS = DEFAULT_ENFORCER_SETTINGS.driftCheckMs;
const FLUSH = "*filter\n-F FORWARD\nCOMMIT\n";
const BROKEN = new NetfilterError("ApplyFailed", "iptables-restore is broken");

/** A kernel that says when it was looked at, and that may be broken for a while. */
class WatchedNetfilter extends FakeNetfilter {
  /** When a check began. */
  readonly checks: number[] = [];
  /** When old chains were removed. */
  readonly sweeps: number[] = [];
  broken: "nothing" | "writes" | "reads" = "nothing";
  writeMs = 0;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    super();
    this.#clock = clock;
  }

  override async outline(...args: Parameters<FakeNetfilter["outline"]>): Promise<string> {
    if (args[0] === "ipv4") this.checks.push(this.#clock.monotonic());
    if (this.broken === "reads") throw BROKEN;
    return await super.outline(...args);
  }

  override async read(...args: Parameters<FakeNetfilter["read"]>): ReturnType<FakeNetfilter["read"]> {
    if (this.broken === "reads") throw BROKEN;
    return await super.read(...args);
  }

  override async restoreSets(text: string): Promise<void> {
    await this.#clock.sleep(this.writeMs, new AbortController().signal);
    await super.restoreSets(text);
  }

  override async restoreRules(...args: Parameters<FakeNetfilter["restoreRules"]>): Promise<void> {
    if (this.broken === "writes") throw BROKEN;
    if (args[0] === "ipv4" && args[1].includes("\n-X TW-C")) this.sweeps.push(this.#clock.monotonic());
    await super.restoreRules(...args);
  }

  /** Somebody else's hand, which nothing stops. */
  async harm(): Promise<void> {
    await super.restoreRules("ipv4", FLUSH);
  }

  async isHooked(): Promise<boolean> {
    return (await this.leftovers("ipv4")).hooks.get("FORWARD")?.first === true;
  }
}

/** States of a node that allow more and more: no reason to touch anything but a set. */
function growing(index: number): NodeState {
  return guarded(Array.from({ length: index + 1 }, (_, peer) => `10.2.${peer >> 8}.${peer & 255}`));
}

/** States of a busy node, each other than the one before: peers come and go, and so do classes. */
function busy(index: number): NodeState {
  const policies = { db: { ingress: [{ peers: ["peers"], ports: [{ protocol: "TCP", port: 1 + (index % 100) }] as const }] } };
  return nodeState({
    pods: { db: { address: "10.1.0.5", ingress: ["db"] } }, policies, peers: { peers: [`10.2.${index % 200}.1`] },
  });
}

describe("an Agent's checks", () => {
  const clock = () => new VirtualClock();

  function gaps(times: readonly number[]): readonly number[] {
    return times.slice(1).map((at, index) => at - (times[index] ?? 0));
  }

  it("come every period, counted from start to start, also while the state changes twenty times a second", async () => {
    const [time, periodMs, states] = [clock(), 500, 48];
    const kernel = new WatchedNetfilter(time);
    await using stage = new Stage(kernel, { clock: time, sweepAfterMs: 200 });
    stage.agent.configure({ ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs: periodMs, podCIDRs: [] });
    for (let index = 0; index < states; index += 1) {
      stage.agent.receive(busy(index));
      await time.pass(50);
    }
    assert.deepEqual(kernel.checks.map((at) => Math.round(at / periodMs)), [1, 2, 3, 4]);
    assert.ok(gaps(kernel.checks).every((gap) => gap >= periodMs && gap <= periodMs + 50), `${kernel.checks.join()}`);
  });

  it("put damage right meanwhile, within a period", async () => {
    const time = clock();
    const kernel = new WatchedNetfilter(time);
    await using stage = new Stage(kernel, { clock: time, sweepAfterMs: 200 });
    let [harmed, repaired] = [Infinity, Infinity];
    for (let index = 0; index < 150 && repaired === Infinity; index += 1) {
      stage.agent.receive(growing(index));
      await time.pass(50);
      if (index === 20) {
        await kernel.harm();
        harmed = time.monotonic();
      }
      if (index > 20 && (await kernel.isHooked())) repaired = time.monotonic();
    }
    assert.ok(repaired - harmed <= PERIOD_MS + 50, `repaired after ${repaired - harmed} ms`);
  });

  /** What a kernel sees to which a state is told as soon as the one before is in force. @returns how many there were */
  async function withoutPause(driftCheckMs: number, ms: number, writeMs: number) {
    const time = clock();
    const kernel = new WatchedNetfilter(time);
    kernel.writeMs = writeMs;
    await using stage = new Stage(kernel, { clock: time, sweepAfterMs: 200 });
    stage.agent.configure({ ...DEFAULT_ENFORCER_SETTINGS, driftCheckMs, podCIDRs: [] });
    let states = 0;
    const push = stage.reports.push.bind(stage.reports);
    stage.reports.push = (...reports) => {
      stage.agent.receive(busy((states += 1)));
      return push(...reports);
    };
    stage.agent.receive(busy(0));
    await time.pass(ms);
    const seen = { states, checks: [...kernel.checks], sweeps: [...kernel.sweeps] };
    // What is being written comes to its end.
    stage.reports.push = push;
    await time.pass(1_000);
    return seen;
  }

  it("come between two states that are there without a pause, and never two of them", async () => {
    const { checks, states } = await withoutPause(500, 2_400, 20);
    assert.ok(gaps(checks).every((gap) => gap >= 500 && gap < 600), `checks at ${checks.join()} ms`);
    assert.deepEqual([checks.length, states > 40], [4, true], `${states} states`);
  });

  it("are not what it takes to sweep up after states that are there without a pause", async () => {
    const { checks, sweeps, states } = await withoutPause(60_000, 7_000, 40);
    const [first = Infinity] = sweeps;
    assert.ok(sweeps.length >= 3 && Math.max(first, ...gaps(sweeps)) <= 2_800, `swept at ${sweeps.join()} ms`);
    assert.ok(states > 48 && checks.length <= 1, `${states} states`);
  });

  it("rest for as long as they take", async () => {
    const time = clock();
    const kernel = new WatchedNetfilter(time);
    const outline = kernel.outline.bind(kernel);
    kernel.outline = async (...args) => {
      const seen = await outline(...args);
      await time.sleep(PERIOD_MS, new AbortController().signal);
      return seen;
    };
    await using stage = new Stage(kernel, { clock: time });
    stage.agent.receive(guarded([]));
    await time.pass(6 * PERIOD_MS);
    assert.deepEqual(gaps(kernel.checks), [2 * PERIOD_MS, 2 * PERIOD_MS]);
  });

  it("put the jump of an earlier run back where no state is known, and say that nothing is confirmed", async () => {
    const time = clock();
    const kernel = new WatchedNetfilter(time);
    await (async () => {
      await using before = new Stage(kernel, { clock: time });
      before.agent.receive(guarded(["10.2.0.9"]));
      await time.pass(500);
    })();
    const { chains } = await kernel.leftovers("ipv4");
    const copy = {
      settings: { ...DEFAULT_ENFORCER_SETTINGS, podCIDRs: [] }, state: guarded(["10.2.0.1"]), versions: { pods: "7" },
    };
    await using stage = new Stage(kernel, { clock: time, copy });
    await time.pass(500);
    assert.equal(stage.reports.length, 0);
    await kernel.harm();
    await time.pass(PERIOD_MS);
    const said = stage.reports.map(({ state, failure }) => [state, failure?.reason]);
    assert.deepEqual([await kernel.isHooked(), said], [true, [[undefined, "AwaitingState"]]]);
    assert.deepEqual((await kernel.leftovers("ipv4")).chains, chains);
    const state = guarded(["10.2.0.3"]);
    stage.agent.receive(state);
    const { failure, findings } = await stage.report(inForce(state));
    assert.deepEqual([failure, findings], [undefined, []]);
  });
});

describe("what an Agent confirms", () => {
  async function scene() {
    const time = new VirtualClock();
    const kernel = new WatchedNetfilter(time);
    const stage = new Stage(kernel, { clock: time });
    const state = guarded(["10.2.0.1"]);
    stage.agent.receive(state);
    await time.pass(500);
    const said = () => {
      const report = stage.reports.at(-1);
      assert.ok(report !== undefined);
      const { policies, conditions } = segmentNodeStatus(report, undefined, "1", "");
      return `${conditions[0]?.type}=${conditions[0]?.status} ${policies.map((each) => each.state).join()}`;
    };
    assert.equal(said(), "Ready=True Enforced");
    return { time, kernel, stage, state, said };
  }

  it("is nothing while damage cannot be put right, and all of it once it can", async () => {
    const { time, kernel, stage, said } = await scene();
    await using _ = stage;
    await kernel.harm();
    kernel.broken = "writes";
    await time.pass(PERIOD_MS);
    assert.deepEqual([said(), stage.reports.at(-1)?.failure?.message], ["Ready=False Failed", BROKEN.message]);
    await time.pass(60_000);
    assert.deepEqual([said(), stage.agent.ready], ["Ready=False Failed", false]);
    kernel.broken = "nothing";
    await time.pass(5_000);
    assert.deepEqual([said(), await kernel.isHooked(), stage.agent.ready], ["Ready=True Enforced", true, true]);
  });

  it("is nothing while nobody can look, also of states that come meanwhile", async () => {
    const { time, kernel, stage, said } = await scene();
    await using _ = stage;
    kernel.broken = "reads";
    await time.pass(PERIOD_MS);
    assert.equal(said(), "Ready=False Failed");
    const next = guarded(["10.2.0.2"]);
    stage.agent.receive(next);
    await time.pass(50);
    assert.deepEqual([said(), stage.reports.at(-1)?.state], ["Ready=False Failed", next]);
    const members = [...(await FakeNetfilter.prototype.read.call(kernel, "ipv4")).sets.values()][0]?.members;
    assert.deepEqual([...(members ?? [])], ["10.2.0.2"], "and yet it is applied");
    kernel.broken = "nothing";
    await time.pass(5_000);
    assert.equal(said(), "Ready=True Enforced");
  });

  it("stays while only something newer cannot be brought about, for however long", async () => {
    const { time, kernel, stage, state, said } = await scene();
    await using _ = stage;
    kernel.broken = "writes";
    stage.agent.receive(busy(1));
    for (let second = 0; second < 20; second += 1) {
      await time.pass(1_000);
      assert.deepEqual([said(), stage.reports.at(-1)?.state], ["Ready=False Enforced", state], `after ${second} s`);
    }
    await kernel.harm();
    await time.pass(5_000);
    assert.equal(said(), "Ready=False Failed", "but not when what is in force has been damaged");
    kernel.broken = "nothing";
    await time.pass(5_000);
    assert.deepEqual([stage.reports.at(-1)?.failure, stage.agent.ready], [undefined, true]);
    await stage.report(inForce(stage.reports.at(-1)?.state ?? state));
  });

  it("is in doubt when an attempt has left a part of something else", async () => {
    const { time, kernel, stage, said } = await scene();
    await using _ = stage;
    // The members of the new state come first, and stay; its rules are refused.
    stage.agent.receive(guarded(["10.2.0.1", "10.2.0.7"]));
    await time.pass(50);
    const two = nodeState({
      pods: { db: { address: "10.1.0.5", ingress: ["db"] }, web: { address: "10.1.0.6", ingress: ["db"] } },
      policies: { db: { ingress: [{ peers: ["peers"] }] } },
      peers: { peers: ["10.2.0.1", "10.2.0.7", "10.2.0.8"] },
    });
    kernel.broken = "writes";
    stage.agent.receive(two);
    await time.pass(50);
    assert.equal(said(), "Ready=False Enforced", "the first attempt knew what was there");
    await time.pass(1_000);
    assert.equal(said(), "Ready=False Failed");
  });

  it("stays when the connections of peers that left cannot be cut for a moment, and is in doubt until they are", async () => {
    const { time, kernel, stage, said } = await scene();
    await using _ = stage;
    stage.agent.receive(guarded(["10.2.0.1", "10.2.0.2"]));
    await time.pass(5_000);
    stage.agent.receive(guarded(["10.2.0.1"]));
    await time.pass(10);
    stage.agent.receive(guarded([]));
    await time.pass(10);
    kernel.broken = "writes";
    await time.pass(1_500);
    assert.equal(said(), "Ready=False Failed");
    kernel.broken = "nothing";
    await time.pass(5_000);
    assert.equal(said(), "Ready=True Enforced");
  });
});
