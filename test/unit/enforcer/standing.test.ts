import assert from "node:assert/strict";
import { layout } from "../../../operator/enforcer/layout/layout.ts";
import { DEFAULT_OPTIONS } from "../../../operator/enforcer/layout/options.ts";
import { EMPTY_KERNEL } from "../../../operator/enforcer/render/kernel-state.ts";
import { plan } from "../../../operator/enforcer/render/plan.ts";
import { StateNames, UNNAMED } from "../../../operator/enforcer/render/state-name.ts";
import type { Stand, Standing } from "../../../operator/enforcer/standing.ts";
import { standingOf } from "../../../operator/enforcer/standing.ts";
import { EMPTY_STATE } from "../../../operator/enforcer/node-state.ts";
import { guarded } from "./agent-stage.ts";

const COPY = guarded(["10.2.0.1"]);
const nameOf = (state: typeof COPY) => new StateNames().nameOf(layout(state, "ipv4", DEFAULT_OPTIONS));
const NAME = nameOf(COPY);

/** The chains of a state in a kernel that calls it so. */
function chainsOf(state: typeof COPY, name: string | undefined) {
  const marks = { mask: 0xffff0000, generation: 3, state: name };
  return plan(EMPTY_KERNEL, layout(state, "ipv4", DEFAULT_OPTIONS), marks, marks).applied.chains;
}

describe("what a kernel holds beside a disk copy", () => {
  const nothing = { chains: EMPTY_KERNEL.chains, name: undefined };
  const unused = { chains: EMPTY_KERNEL.chains, name: NAME };
  const skeleton = { chains: chainsOf(EMPTY_STATE, UNNAMED), name: NAME };
  const copy = { chains: chainsOf(COPY, NAME), name: NAME };
  const halfway = { chains: chainsOf(COPY, UNNAMED), name: NAME };
  const newer = { chains: chainsOf(guarded(["10.2.0.9"]), "another"), name: NAME };
  const emptied = { chains: chainsOf(EMPTY_STATE, "another"), name: NAME };
  const leftover = { chains: chainsOf(COPY, NAME), name: undefined };
  /** As `iptables -F` leaves them, the skeleton being put back as far as it has lines of its own. */
  const flushed = ({ chains, name }: Stand): Stand => {
    const skeletal = chainsOf(EMPTY_STATE, UNNAMED);
    return { chains: new Map([...chains].map(([each]) => [each, skeletal.get(each) ?? []])), name };
  };
  const without = ({ chains, name }: Stand, emptied: string): Stand => {
    return { chains: new Map([...chains, [emptied, []]]), name };
  };
  const otherFamily = { chains: chainsOf(EMPTY_STATE, "v6"), name: "v6" };
  const otherNewer = { ...otherFamily, name: "another" };

  const cases: readonly { readonly name: string; readonly stands: readonly Stand[]; readonly is: Standing }[] = [
    { name: "nothing at all", stands: [unused, nothing], is: "bare" },
    { name: "a skeleton that waits for its first state", stands: [skeleton, nothing], is: "bare" },
    { name: "what the copy says", stands: [copy, nothing], is: "same" },
    { name: "what the copy says, in one family alone", stands: [copy, unused, nothing], is: "same" },
    { name: "what the copy says, flushed", stands: [flushed(copy), nothing], is: "bare" },
    { name: "what the copy says, flushed in one family", stands: [flushed(copy), otherFamily, nothing], is: "bare" },
    { name: "something newer, flushed", stands: [flushed(newer), nothing], is: "bare" },
    { name: "something newer, flushed in one family", stands: [flushed(newer), otherNewer, nothing], is: "bare" },
    { name: "something newer, whose first chain is emptied", stands: [without(newer, "TW-FWD"), nothing], is: "bare" },
    { name: "something newer, with nothing that leads to pods", stands: [without(newer, "TW-I"), nothing], is: "bare" },
    { name: "something newer, with a chain that is emptied elsewhere", stands: [without(newer, "TW-EST"), nothing], is: "other" },
    { name: "something newer, and what the other backend had, flushed", stands: [newer, flushed(leftover)], is: "other" },
    { name: "what the copy says, and what the other backend had, flushed", stands: [copy, flushed(leftover)], is: "same" },
    { name: "a skeleton, and what the other backend had, flushed", stands: [skeleton, flushed(leftover)], is: "bare" },
    { name: "the copy's rules, without a name: something may be missing", stands: [halfway, nothing], is: "other" },
    { name: "something newer", stands: [newer, nothing], is: "other" },
    { name: "no isolated pod any more, and that with a name", stands: [emptied, nothing], is: "other" },
    { name: "no isolated pod any more since a moment ago, yet without a name", stands: [without(halfway, "TW-I"), nothing], is: "other" },
    { name: "the copy, and something in the other backend too", stands: [copy, leftover], is: "other" },
    { name: "a skeleton, and something in the other backend", stands: [skeleton, leftover], is: "other" },
  ];
  for (const { name, stands, is } of cases) {
    it(`${name}: ${is}`, () => assert.equal(standingOf(stands), is));
  }

  it("is told apart by rules and by members", () => {
    const names = [["10.2.0.1"], ["10.2.0.2"], []].map((peers) => nameOf(guarded(peers)));
    assert.equal(new Set(names).size, 3);
    assert.equal(nameOf(guarded(["10.2.0.1"])), NAME);
  });
});
