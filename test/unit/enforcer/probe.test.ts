import assert from "node:assert/strict";
import type { Family } from "../../../operator/enforcer/layout/family.ts";
import { EXTENSIONS, type Extension } from "../../../operator/enforcer/layout/options.ts";
import { NetfilterError, NoAnswer } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { probe } from "../../../operator/enforcer/netfilter/probe.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";

/** What a kernel or its tools do not know, and what the rules then do without; `"refused"` = there is no substitute. */
type Lack = readonly [string, readonly Extension[] | "refused"];

const IN_BOTH: readonly Lack[] = [
  ["-m connmark", ["connmark"]],
  ["-j CONNMARK", ["connmark"]],
  ["--ctstatus", ["connmark"]],
  ["-m comment", ["comment"]],
  ["-m set", ["set"]],
  ["hash:ip ", ["set"]],
  ["hash:ip,port", ["set"]],
  ["hash:net", ["set"]],
  ["nomatch", ["set"]],
  ["-m bpf", ["bpf"]],
  ["-m physdev", ["physdev"]],
  ["-m pkttype", ["pkttype"]],
  ["-m sctp", ["sctp"]],
  ["-m limit", ["log"]],
  ["-j NFLOG", ["log"]],
  ["-m conntrack", "refused"],
  ["--ctdir", "refused"],
  ["-m tcp", "refused"],
  ["--tcp-flags", "refused"],
  ["-m udp", "refused"],
  ["-g ", "refused"],
];
const LACKS: Readonly<Record<Family, readonly Lack[]>> = {
  ipv4: [...IN_BOTH, ["-m icmp6", []], ["--icmpv6-type", []]],
  ipv6: [...IN_BOTH, ["-m icmp6", "refused"], ["--icmpv6-type", "refused"]],
};

describe("probe", () => {
  const { signal } = new AbortController();

  for (const family of ["ipv4", "ipv6"] as const) {
    it(`finds that nothing is missing, and leaves nothing behind (${family})`, async () => {
      const kernel = new FakeNetfilter();
      assert.deepEqual(await probe(kernel, family, signal), new Set());
      const { chains, sets } = await kernel.read(family);
      assert.deepEqual([chains.size, sets.size], [0, 0]);
    });

    for (const [word, lacks] of LACKS[family]) {
      const outcome = lacks === "refused" ? lacks : `lacks ${lacks.join() || "nothing"}`;
      it(`a kernel without ${word} (${family}): ${outcome}`, async () => {
        const kernel = new FakeNetfilter();
        kernel.refuses.push(word);
        const found = probe(kernel, family, signal);
        const refusal = { reason: "KernelUnsupported", message: `unknown option ${word}` };
        if (lacks === "refused") await assert.rejects(found, refusal);
        else assert.deepEqual(await found, new Set(lacks));
        const { chains, sets } = await kernel.read(family);
        assert.deepEqual([chains.size, sets.size], [0, 0], "nothing is left behind");
      });
    }
  }

  it("finds all that is missing", async () => {
    const kernel = new FakeNetfilter();
    kernel.refuses.push("CONNMARK", "comment", "hash:net", "bpf", "physdev", "pkttype", "sctp", "limit");
    assert.deepEqual(await probe(kernel, "ipv4", signal), new Set(EXTENSIONS));
  });

  /** Each write of a probe is the one that gets no answer. */
  it("takes nothing for missing because a tool did not answer", async () => {
    const whole = new FakeNetfilter();
    await probe(whole, "ipv6", signal);
    for (let passed = 0; passed < whole.written.length; passed += 1) {
      const kernel = new FakeNetfilter();
      const failure = new NoAnswer("the lock is held");
      kernel.failures.push(...Array<undefined>(passed).fill(undefined), failure);
      await assert.rejects(probe(kernel, "ipv6", signal), failure);
    }
  });

  it("takes nothing for missing because a tool is", async () => {
    const kernel = new FakeNetfilter();
    const failure = new NetfilterError("IpsetMissing", "ipset is not installed");
    kernel.failures.push(failure);
    await assert.rejects(probe(kernel, "ipv4", signal), failure);
  });
});
