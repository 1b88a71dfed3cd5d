import assert from "node:assert/strict";
import type { ResolvedPort } from "../../../operator/api/node-state.ts";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import type { Ruleset } from "../../../operator/enforcer/layout/ruleset.ts";
import type { Hook, KernelState } from "../../../operator/enforcer/render/kernel-state.ts";
import { EMPTY_KERNEL } from "../../../operator/enforcer/render/kernel-state.ts";
import type { Marks } from "../../../operator/enforcer/render/marks.ts";
import { fieldText, nextGeneration } from "../../../operator/enforcer/render/marks.ts";
import { inForce, kernelMarks, narrowsChains, plan, skeletonText } from "../../../operator/enforcer/render/plan.ts";
import { OTHER_FAMILY } from "../../../operator/enforcer/render/set-kind.ts";
import type { StateDraft } from "../../packets/enforcer-state.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

const OLD: Marks = { mask: 0xffff0000, generation: 1, state: "one" };
const NEW: Marks = { mask: 0xffff0000, generation: 2, state: "two" };
const HTTP: ResolvedPort = { protocol: "TCP", port: 80 };
const DNS: ResolvedPort = { protocol: "UDP", port: 53 };

function guarded(peers: readonly string[], ports = [HTTP], pods: StateDraft["pods"] = {}): Ruleset {
  const draft: StateDraft = {
    pods: { db: { address: "10.1.0.5", ingress: ["db"] }, ...pods },
    policies: { db: { ingress: [{ peers: ["peers"], ports }] } },
    peers: { peers },
  };
  return layout(nodeState(draft), "ipv4");
}

/** The kernel after a ruleset was applied and swept, by an enforcer that has forgotten what it wrote. */
function kernelWith(ruleset: Ruleset, marks = OLD): KernelState {
  const { swept } = plan(EMPTY_KERNEL, ruleset, marks, marks);
  const sets = [...swept.sets].map(([name, set]) => [name, { ...set, members: new Set(set.members) }] as const);
  return { ...swept, sets: new Map(sets) };
}

describe("plan", () => {
  it("writes nothing into a kernel that holds the ruleset", () => {
    const ruleset = guarded(["10.2.0.1"]);
    const steps = plan(kernelWith(ruleset), ruleset, OLD, OLD);
    assert.ok(inForce(steps));
    assert.equal(steps.sweepChains + steps.sweepSets, "");
  });

  it("adds members in place and writes no rule for them", () => {
    const steps = plan(kernelWith(guarded(["10.2.0.1"])), guarded(["10.2.0.1", "10.2.0.2"]), OLD, OLD);
    assert.match(steps.fill, /^add TW-u[0-9a-f]{16} 10\.2\.0\.2\n$/);
    assert.equal(steps.rules + steps.drain + steps.generation, "");
  });

  it("takes members away before the new generation, which comes in a transaction of its own", () => {
    const steps = plan(kernelWith(guarded(["10.2.0.1", "10.2.0.2"])), guarded(["10.2.0.1"]), OLD, NEW);
    assert.equal(steps.fill + steps.rules, "");
    assert.match(steps.drain, /^del TW-u[0-9a-f]{16} 10\.2\.0\.2\n$/);
    assert.deepEqual(marksIn(steps.generation), ["0x20000"]);
  });

  it("puts the generation into a transaction of its own where that is asked for and the other one only adds", () => {
    const before = kernelWith(guarded([]));
    const after = guarded([], [HTTP], { web: { address: "10.1.0.4", ingress: ["db"] } });
    const steps = plan(before, after, OLD, NEW, undefined, true);
    assert.deepEqual(marksIn(steps.rules), []);
    assert.match(steps.rules, /^-I TW-I-\S+ 1 -d 10\.1\.0\.4\/32 /m);
    assert.deepEqual(marksIn(steps.generation), ["0x20000"]);
    assert.deepEqual(steps.swept.chains, plan(before, after, OLD, NEW).swept.chains);
    const moving = plan(before, guarded([], [HTTP, DNS]), OLD, NEW, undefined, true);
    assert.deepEqual(marksIn(moving.rules), ["0x20000"]);
    assert.equal(moving.generation, "");
  });

  it("lets the generation ride with the chains when no member leaves", () => {
    const steps = plan(kernelWith(guarded(["10.2.0.1"])), guarded(["10.2.0.1"], [HTTP, DNS]), OLD, NEW);
    assert.deepEqual(marksIn(steps.rules), ["0x20000"]);
    assert.equal(steps.drain + steps.generation, "");
  });

  it("keeps the old generation in the chains while members are still to leave", () => {
    const before = guarded(["10.2.0.1", "10.2.0.2"]);
    const after = guarded(["10.2.0.1"], [HTTP, DNS], { far: { address: "10.9.0.1" } });
    const steps = plan(kernelWith(before), after, OLD, NEW);
    assert.deepEqual(marksIn(steps.rules), ["0x10000"]);
    assert.match(steps.drain, /^del /);
    assert.deepEqual(marksIn(steps.generation), ["0x20000"]);
  });

  it("writes a new class beside the old one, moves the leaves whole, sweeps the old class last", () => {
    const steps = plan(kernelWith(guarded(["10.2.0.1"])), guarded(["10.2.0.1"], [HTTP, DNS]), OLD, NEW);
    const declared = [...steps.rules.matchAll(/^:(TW-\S+)/gm)].map(([, name]) => name?.replace(/[0-9a-f]{16}$/, ""));
    assert.deepEqual(declared, ["TW-CI", "TW-FWD", "TW-I-", "TW-STATE"]);
    assert.match(steps.sweepChains, /^\*filter\n-F (TW-CI[0-9a-f]{16})\n-X \1\nCOMMIT\n$/);
    assert.ok(steps.applied.chains.size > steps.unchained.chains.size);
  });

  it("destroys only sets that nothing wants", () => {
    const steps = plan(kernelWith(guarded(["10.2.0.1"])), layout(nodeState({}), "ipv4"), OLD, NEW);
    assert.match(steps.sweepSets, /^destroy TW-u[0-9a-f]{16}\n$/);
    assert.equal(steps.drain, "", "nothing is taken out of a set that goes");
  });

  it("leaves the other family its sets, and sweeps up those of no family", () => {
    const ruleset = guarded(["10.2.0.1"]);
    const kernel = kernelWith(ruleset);
    const set = (type: string) => ({ type, members: new Set<string>() });
    const sets = new Map([...kernel.sets, ["TW-u6", set(OTHER_FAMILY)], ["TW-all", set("list:set size 8")]]);
    const steps = plan({ ...kernel, sets }, ruleset, OLD, OLD);
    assert.ok(inForce(steps));
    assert.equal(steps.sweepSets, "destroy TW-all\n");
  });

  const jumps = [
    "-m conntrack ! --ctstate RELATED,ESTABLISHED ! --ctstatus CONFIRMED -j TW-FWD",
    "-m connmark ! --mark 0x10000/0xffff0000 -j TW-EST",
  ];
  const older = "-j TW-FWD";
  const earlier = "-m connmark ! --mark 0x70000/0xffff0000 -j TW-EST";
  const takenOut = (lines: readonly string[]) => lines.map((line) => `-D FORWARD ${line}`);
  const putIn = jumps.map((line, index) => `-I FORWARD ${index + 1} ${line}`);
  const hooks: readonly (readonly [string, Hook, readonly string[]])[] = [
    ["absent", { lines: [], first: false }, putIn],
    ["not first", { lines: jumps, first: false }, [...takenOut(jumps), ...putIn]],
    ["half there", { lines: jumps.slice(1), first: true }, [...takenOut(jumps.slice(1)), ...putIn]],
    ["twice", { lines: [...jumps, ...jumps], first: true }, [...takenOut([...jumps, ...jumps]), ...putIn]],
    ["another", { lines: [older], first: true }, [`-D FORWARD ${older}`, ...putIn]],
    ["an older one", { lines: [...jumps.slice(0, 1), earlier], first: true }, [`-D FORWARD ${earlier}`, ...putIn.slice(1)]],
  ];
  for (const [name, hook, lines] of hooks) {
    it(`puts the jump first in FORWARD when it is ${name}`, () => {
      const ruleset = guarded([]);
      const kernel = { ...kernelWith(ruleset), hooks: new Map([["FORWARD" as const, hook]]) };
      const steps = plan(kernel, ruleset, OLD, OLD);
      assert.equal(steps.rules, ["*filter", ...lines, "COMMIT", ""].join("\n"));
    });
  }
});

describe("narrowsChains", () => {
  const cases: readonly (readonly [string, Ruleset, Ruleset, boolean])[] = [
    ["a member joins", guarded(["10.2.0.1"]), guarded(["10.2.0.1", "10.2.0.2"]), false],
    ["a member leaves", guarded(["10.2.0.1", "10.2.0.2"]), guarded(["10.2.0.1"]), false],
    ["a port goes", guarded([], [HTTP, DNS]), guarded([]), true],
    ["a pod is isolated", guarded([]), guarded([], [HTTP], { web: { address: "10.1.0.6", ingress: ["db"] } }), true],
    ["an open pod comes", guarded([]), guarded([], [HTTP], { web: { address: "10.9.0.6" } }), false],
    ["nothing changes", guarded([]), guarded([]), false],
  ];
  for (const [name, before, after, expected] of cases) {
    it(`is ${expected} when ${name}`, () => assert.equal(narrowsChains(kernelWith(before), after, OLD), expected));
  }
});

describe("skeletonText", () => {
  const empty = layout(nodeState({}), "ipv4");

  it("makes the chains that every packet passes, and the jump", () => {
    const text = skeletonText(EMPTY_KERNEL, empty, OLD);
    assert.deepEqual(text.match(/^:TW-\S+/gm), [":TW-DROP", ":TW-E", ":TW-EST", ":TW-FWD", ":TW-I", ":TW-STATE"]);
    assert.match(text, /^-I FORWARD 2 -m connmark ! --mark 0x10000\/0xffff0000 -j TW-EST$/m);
  });

  it("leaves alone what an earlier run left", () => {
    assert.equal(skeletonText(kernelWith(guarded(["10.2.0.1"])), empty, NEW), "");
    const torn = kernelWith(guarded([]));
    const lost = { ...torn, chains: new Map([...torn.chains].filter(([name]) => name !== "TW-FWD")) };
    assert.deepEqual(skeletonText(lost, empty, NEW).match(/^:TW-\S+/gm), [":TW-FWD"]);
  });

  const CLOSED = layout(nodeState({}), "ipv4", { ...DEFAULT_OPTIONS, closedNets: ["10.1.0.0/24"] });
  const isFilled = (text: string) => [...new Set(text.match(/^-A TW-\S+/gm))].map((line) => line.slice(3));
  const emptied = (state: KernelState, ...names: readonly string[]): KernelState => {
    const lines = (name: string, kept: readonly string[]) => (names.length === 0 || names.includes(name) ? [] : kept);
    return { ...state, chains: new Map([...state.chains].map(([name, kept]) => [name, lines(name, kept)])) };
  };

  it("fills what somebody has flushed", () => {
    const flushed = emptied(kernelWith(guarded(["10.2.0.1"])));
    assert.deepEqual(isFilled(skeletonText(flushed, empty, NEW)), ["TW-DROP", "TW-EST", "TW-STATE"]);
    assert.deepEqual(isFilled(skeletonText(flushed, CLOSED, NEW)), ["TW-DROP", "TW-E", "TW-EST", "TW-FWD", "TW-I", "TW-STATE"]);
    const deaf = emptied(kernelWith(guarded(["10.2.0.1"])), "TW-DROP");
    assert.deepEqual(isFilled(skeletonText(deaf, empty, NEW)), ["TW-DROP"]);
  });

  it("closes nothing that is empty because no pod is isolated", () => {
    const open = kernelWith(layout(nodeState({ pods: { db: { address: "10.1.0.5" } } }), "ipv4"));
    assert.deepEqual([open.chains.get("TW-I"), skeletonText(open, CLOSED, OLD)], [[], ""]);
  });
});

describe("marks", () => {
  it("are read back from the kernel as they were written", () => {
    assert.deepEqual(kernelMarks(kernelWith(guarded([]), NEW)), NEW);
    assert.equal(kernelMarks(EMPTY_KERNEL), undefined);
  });

  it("are written into whichever bits are ours", () => {
    assert.equal(fieldText(0xffff, 0xffff0000), "0xffff0000/0xffff0000");
    assert.equal(fieldText(0x12, 0x0000ffff), "0x12/0xffff");
    assert.equal(fieldText(0x12, 0x00ffff00), "0x1200/0xffff00");
  });

  it("go round without the values for `no verdict` and `denied`", () => {
    const next = (mask: number, generation: number) => nextGeneration({ mask, generation });
    assert.deepEqual([next(0xffff0000, 0xfffd), next(0xffff0000, 0xfffe)], [0xfffe, 1]);
    assert.deepEqual([next(0xff00, 0xfd), next(0xff00, 0xfe)], [0xfe, 1]);
  });
});

/** Generations that a restore input writes, each once. */
function marksIn(text: string): readonly string[] {
  const written = text.replaceAll(/^-D .*$/gm, "");
  const found = written.matchAll(/(?:--mark|--set-xmark) (0x[0-9a-f]+)\//g).map(([, mark]) => mark ?? "");
  return [...new Set(found)];
}
