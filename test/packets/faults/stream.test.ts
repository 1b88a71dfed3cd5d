import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { SegmentNodeStatus } from "../../../operator/api/segment-node.ts";
import { monotonicMs } from "../../lab/prober.ts";
import type { StateDraft } from "../enforcer-state.ts";
import type { Vigil } from "../vigil.ts";
import type { Conversation } from "./conversation.ts";
import { tell } from "./scene.ts";
import type { Harm } from "./stream-operator.ts";
import { ALLOWED, CHANGING, DENIED, KEPT, NEVER, StreamScene } from "./stream-scene.ts";

interface Fault {
  readonly name: string;
  readonly harm: Harm;
  /** What the SegmentNode says of it; absent = the connection only ends, and nothing is wrong with what came. */
  readonly said?: RegExp;
  /** Default: the wider one. */
  readonly offered?: StateDraft;
}

/** In what the node is told first; the defaults close less. */
const CLOSING = '"nodeTraffic":"Enforce","establishedFlows":"Cut","failClosed":true';
const OPENING = CLOSING.replace("Enforce", "Allow").replace("true", "false");

const FAULTS: readonly Fault[] = [
  { name: "cut in the middle of a snapshot", harm: { at: '"type":"pod"', end: "before" } },
  { name: "cut in the middle of a line", harm: { at: '"type":"pod"', end: "within" } },
  {
    name: "a line that is truncated",
    harm: { at: '"type":"pod"', replace: '"addresses":', by: "\n" },
    said: /malformed/,
  },
  { name: "garbage bytes", harm: { at: '"type":"policy"', bytes: "//4AgAo=" }, said: /not UTF-8/ },
  { name: "a line of words", harm: { at: '"type":"policy"', replace: "{", by: "hello {" }, said: /malformed/ },
  {
    name: "a policy whose peers never came",
    harm: { at: '"id":"webs"', bytes: "" },
    said: /policy \w+ refers to peer set webs, which is unknown/,
  },
  {
    name: "a pod whose policy never came",
    harm: { at: '"id":"db"', bytes: "" },
    said: /pod default\/db refers to policy db, which is unknown/,
  },
  {
    name: "an address that is none",
    harm: { at: '"id":"webs"', replace: "10.77.0.2", by: "10.77.0.999" },
    said: /address/,
  },
  {
    name: "a name for an address",
    harm: { at: '"id":"webs"', replace: "10.77.0.2", by: "localhost" },
    said: /address/,
  },
  {
    name: "a field that nobody knows",
    harm: { at: '"id":"db"', replace: '"ports":', by: '"from":1,"ports":' },
    said: /from/,
  },
  {
    name: "a batch for another node",
    harm: { at: '"type":"hello"', replace: "node-1", by: "node-2" },
    said: /for node node-2/,
  },
  {
    name: "an older revision, once more",
    harm: { at: '"type":"revision"', replay: true },
    said: /revision 1 follows revision 1/,
    offered: DENIED,
  },
  {
    name: "a batch that says it is not complete",
    harm: { at: '"type":"revision"', replace: '"complete":true', by: '"complete":false' },
    said: /complete/,
  },
  {
    name: "settings that close less, and later a line of words",
    harm: { at: CLOSING, replace: CLOSING, by: OPENING, next: { at: '"type":"policy"', replace: "{", by: "hello {" } },
    said: /malformed/,
  },
  {
    name: "settings that close less, and a cut in the middle of a snapshot",
    harm: { at: CLOSING, replace: CLOSING, by: OPENING, next: { at: '"type":"pod"', end: "before" } },
  },
  {
    name: "settings of which one got lost",
    harm: { at: CLOSING, replace: '"nodeTraffic":"Enforce",', by: "" },
    said: /settings\.nodeTraffic: is missing/,
    offered: DENIED,
  },
];
/** Longer than from one look at what is in force to the next. */
const WHILE_MS = 300;
const DRIFT_MS = 200;

describe("a stream that is not as it should be", function () {
  this.timeout(120_000);
  let scene: StreamScene;
  let vigil: Vigil;
  let kept: Conversation;
  /** Of the pair that was allowed once. */
  let narrowed: Conversation;
  let denied: number;
  let rules: string;

  before(async () => {
    scene = await StreamScene.create({ nodeTraffic: "Enforce", failClosed: true, driftCheckMs: DRIFT_MS });
    // What is replayed later: the first stream of all.
    await scene.enforce(ALLOWED);
    [kept, narrowed] = await Promise.all([scene.converse("db", "web"), scene.converse("web", "db")]);
    await scene.enforce(DENIED);
    denied = monotonicMs();
    rules = await scene.node.calm();
    vigil = await scene.watch();
  });
  after(async () => {
    await vigil?.stop().catch(() => undefined);
    await Promise.all([kept, narrowed].map((each) => each?.stop()));
    await scene?.remove();
  });
  afterEach(() => scene.order({ do: "harm", harm: undefined }));

  for (const { name, harm, said, offered = ALLOWED } of FAULTS) {
    it(`${name}: what is in force stays${said ? " and says so" : ""}, and the next good one is taken`, async () => {
      vigil.mark(name);
      const reconnected = scene.saidAgain("stream connected", 2);
      await scene.order({ do: "harm", harm });
      await scene.offer(offered);
      await scene.order({ do: "hang up" });
      if (said === undefined) await reconnected();
      else await scene.untilStatus(String(said), (status) => trouble(status).match(said) !== null);
      await sleep(WHILE_MS);
      assert.equal(await scene.node.rules(), rules);
      // First: an enforcer that tries again in between must not get what was offered, unharmed.
      await scene.offer(DENIED);
      await scene.order({ do: "harm", harm: undefined });
      assert.equal(trouble(await scene.enforce(DENIED)), "", "no word of it is left");
    });
  }

  it("all the while nothing passed that was denied by what was in force, and nothing was lost", async () => {
    await narrowed.assertSilent(denied);
    const over = vigil.mark("a good one that allows more");
    await scene.enforce(ALLOWED);
    const allowed = vigil.mark("in force");
    await sleep(WHILE_MS);
    await kept.assertUnbroken();
    const report = await vigil.stop();
    report.assertAll(KEPT, "open");
    report.assertAll(NEVER, "dropped");
    report.assertAll(CHANGING, "dropped", { to: over });
    report.assertAll(CHANGING, "open", { from: allowed });
    tell(report.summary);
  });
});

/** What the status says is wrong with the stream, of a node that is ready all the same; `""` = nothing. */
function trouble({ conditions }: SegmentNodeStatus): string {
  const ready = conditions.find(({ type }) => type === "Ready");
  assert.equal(ready?.status, "True");
  const degraded = conditions.find(({ type }) => type === "Degraded");
  return degraded?.message.match(/the operator's stream makes no sense.*/)?.[0] ?? "";
}
