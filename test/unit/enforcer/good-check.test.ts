import assert from "node:assert/strict";
import { FamilyFirewall } from "../../../operator/enforcer/family-firewall.ts";
import { MemberViews } from "../../../operator/enforcer/good-check.ts";
import type { MemberView } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { FakeNetfilter, outlineOf } from "./fake-netfilter.ts";
import { guarded, PLAN } from "./guarded-pod.ts";

const { signal } = new AbortController();
const MANY = Array.from({ length: 5_000 }, (_, index) => `10.${2 + (index >> 8)}.0.${index & 255}`);

describe("a check of large sets", () => {
  let kernel: FakeNetfilter;
  let firewall: FamilyFirewall;
  let reads: number;
  let views: MemberViews;
  const state = guarded(MANY);
  const set = async (): Promise<string> => {
    const { chains } = await kernel.leftovers("ipv4");
    return [...chains.values()].flat().join("\n").match(/--match-set (\S+)/)?.[1] ?? "";
  };

  beforeEach(async () => {
    kernel = new FakeNetfilter();
    firewall = new FamilyFirewall(kernel, "ipv4", PLAN);
    await firewall.prepare(signal);
    await firewall.apply(state, signal);
    for (let round = 0; round < 3; round += 1) await firewall.sweep(signal);
    await firewall.verify(state, "counted", signal);
    // From here on only what an outline tells.
    await firewall.verify(state, "counted", signal);
    reads = 0;
    views = new MemberViews();
    const read = kernel.read.bind(kernel);
    kernel.read = (family) => {
      reads += 1;
      return read(family);
    };
    kernel.outline = async (family, members) => outlineOf(await read(family), members);
  });

  it("counts their members, and looks at each of them only every now and then", async () => {
    const looks: MemberView[] = [];
    for (let round = 0; round < 24; round += 1) {
      looks.push(views.next(MANY.length));
      assert.equal((await firewall.verify(state, looks.at(-1) ?? "listed", signal)).wrote, false);
    }
    assert.deepEqual(looks.map((view, round) => (view === "listed" ? round : 0)).filter((round) => round > 0), [11, 23]);
    // The first time there is nothing to compare the list with.
    assert.equal(reads, 1);
  });

  it("puts right at once what changes their number", async () => {
    await kernel.restoreSets(`add ${await set()} 10.99.0.1\n`);
    assert.equal((await firewall.verify(state, "counted", signal)).wrote, true);
  });

  it("puts right before long what was put in for another", async () => {
    await kernel.restoreSets(`add ${await set()} 10.99.0.1\ndel ${await set()} ${MANY[0]}\n`);
    const wrote: boolean[] = [];
    for (let round = 0; round < 12; round += 1) wrote.push((await firewall.verify(state, views.next(MANY.length), signal)).wrote);
    assert.ok(wrote.includes(true));
  });

  it("puts that right as well where the list has been good before", async () => {
    await firewall.verify(state, "listed", signal);
    await firewall.verify(state, "listed", signal);
    assert.equal(reads, 1);
    await kernel.restoreSets(`add ${await set()} 10.99.0.1\ndel ${await set()} ${MANY[0]}\n`);
    assert.equal((await firewall.verify(state, "counted", signal)).wrote, false);
    assert.equal((await firewall.verify(state, "listed", signal)).wrote, true);
  });

  it("looks at each of them after whatever it wrote", async () => {
    const more = guarded([...MANY, "10.98.0.1"]);
    await firewall.apply(more, signal);
    await firewall.verify(more, "counted", signal);
    assert.equal(reads, 1);
  });
});
