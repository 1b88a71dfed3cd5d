import assert from "node:assert/strict";
import { chooseBackend } from "../../../operator/enforcer/netfilter/backend-choice.ts";
import { CommandNetfilter } from "../../../operator/enforcer/netfilter/command-netfilter.ts";
import type { Netfilter } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { NetfilterError, NoAnswer } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { runTool } from "../../../operator/enforcer/netfilter/tool.ts";
import { StandInTools } from "./stand-in-tools.ts";

const SAVES = ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"].map((tables) => `${tables}-save`);
const HINT = "printf '*mangle\\n:KUBE-IPTABLES-HINT - [0:0]\\nCOMMIT\\n'";
const OURS = "printf '*filter\\n:TW-FWD - [0:0]\\n-A FORWARD -j TW-FWD\\nCOMMIT\\n'";

/** How a tool can fail, and whether that means that there is nothing. */
const FAILURES: readonly (readonly [string, string, boolean])[] = [
  ["no nfnetlink", "echo 'iptables-nft-save: Failed to initialize nft: Protocol not supported' >&2; exit 1", true],
  [
    "no nf_tables",
    "echo 'iptables-nft-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Invalid argument' >&2; exit 4",
    true,
  ],
  ["no rights", "echo 'Could not fetch rule set generation id: Permission denied' >&2; exit 4", false],
  ["a crash", "kill -SEGV $$", false],
  ["a status alone", "exit 1", false],
];

describe("what cannot be read", () => {
  const { signal } = new AbortController();
  let tools: StandInTools;

  beforeEach(async () => {
    tools = await StandInTools.create();
    for (const save of SAVES) await tools.set(save, "true");
    await tools.set("nft", "true");
    await tools.set("ipset", "true");
    tools.hideOthers();
  });
  afterEach(() => tools.remove());

  const left = async (kernel: Netfilter) => (await kernel.leftovers("ipv4", signal)).chains.size;
  const looks: readonly (readonly [string, string, (kernel: Netfilter) => Promise<unknown>, unknown])[] = [
    ["what an earlier run left", "iptables-nft-save", left, 0],
    ["who else uses the mark", "ip6tables-legacy-save", (kernel) => kernel.foreignMarkBits(signal), 0],
    ["who else uses the mark natively", "nft", (kernel) => kernel.foreignMarkBits(signal), 0],
    ["which iptables the kubelet uses", "ip6tables-nft-save", () => chooseBackend(signal), "nft"],
  ];
  for (const [what, program, look, nothing] of looks) {
    for (const [how, script, isAbsence] of FAILURES) {
      it(`${what}: ${how} of ${program} ${isAbsence ? "means that there is nothing" : "is an error"}`, async () => {
        await tools.set(program, script);
        const seen = look(new CommandNetfilter("nft"));
        if (isAbsence) assert.deepEqual(await seen, nothing);
        else await assert.rejects(seen, { name: "NetfilterError", message: new RegExp(`^${program}`) });
      });
    }

    it(`${what}: a ${program} that is not installed shows nothing`, async () => {
      await tools.drop(program);
      assert.deepEqual(await look(new CommandNetfilter("nft")), nothing);
    });
  }

  it("sets: a kernel without any holds none, and any other failure is an error", async () => {
    const kernel = new CommandNetfilter("nft");
    await tools.set("ipset", "echo 'ipset v7.17: Cannot open session to kernel.' >&2; exit 1");
    assert.equal((await kernel.read("ipv4", signal)).sets.size, 0);
    for (const script of ["echo 'ipset v7.17: Kernel error received: Operation not permitted' >&2; exit 1", "exit 1"]) {
      await tools.set("ipset", script);
      await assert.rejects(kernel.read("ipv4", signal), NetfilterError);
    }
    await tools.drop("ipset");
    await assert.rejects(kernel.read("ipv4", signal), { reason: "IpsetMissing" });
  });

  it("a filter table that iptables hides is an error; another table is not, nor such words in a comment", async () => {
    const kernel = new CommandNetfilter("nft");
    const hides = (table: string) => `${OURS}; echo "# Table \\\`${table}' is incompatible, use 'nft' tool."`;
    const comment = `${OURS}; echo '-A FORWARD -m comment --comment "is incompatible" -j ACCEPT'`;
    for (const script of [hides("nat"), comment]) {
      await tools.set("iptables-nft-save", script);
      assert.deepEqual([...(await kernel.leftovers("ipv4", signal)).chains.keys()], ["TW-FWD"]);
      assert.deepEqual([...(await kernel.read("ipv4", signal)).chains.keys()], ["TW-FWD"]);
    }
    await tools.set("iptables-nft-save", hides("filter"));
    const hidden = { name: "NetfilterError", message: /^iptables-nft-save: # Table `filter' is incompatible/ };
    await assert.rejects(kernel.leftovers("ipv4", signal), hidden);
    await assert.rejects(kernel.read("ipv4", signal), hidden);
  });

  describe("in a table that iptables hides", () => {
    const hidden = "echo \"# Table \\`nat' is incompatible, use 'nft' tool.\"";
    const shown = "printf '*nat\\n-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xf00 --ctmask 0xf00\\nCOMMIT\\n'";
    const cases: readonly (readonly [string, string, string, number])[] = [
      ["nft shows a mark", hidden, "ct mark set ct mark or 0x80", 0x80],
      ["nft shows a mark that it does not understand", hidden, "ct mark set ct mark or 0x80; xt target CONNMARK", 0xffffffff],
      ["nft shows a match that it does not understand", hidden, 'xt match "connmark" counter', 0xffffffff],
      ["nft shows no mark", hidden, "counter accept", 0],
      ["(it does not: only nft does not understand it)", shown, "xt target CONNMARK", 0xf00],
    ];
    for (const [what, saved, listed, bits] of cases) {
      it(what, async () => {
        await tools.set("iptables-nft-save", saved);
        await tools.set("nft", `printf '%s\\n' 'table ip nat {' 'chain PREROUTING {' '${listed.replaceAll("; ", "' '")}' '}' '}'`);
        assert.equal(await new CommandNetfilter("nft").foreignMarkBits(signal), bits);
      });
    }

    it("and no nft is there", async () => {
      await tools.set("iptables-nft-save", hidden);
      await tools.drop("nft");
      assert.equal(await new CommandNetfilter("nft").foreignMarkBits(signal), 0xffffffff);
    });
  });

  it("the kubelet's iptables is the one that shows its chains, and nft where both do or none does", async () => {
    assert.equal(await chooseBackend(signal), "nft");
    await tools.set("ip6tables-legacy-save", HINT);
    assert.equal(await chooseBackend(signal), "legacy");
    await tools.set("iptables-nft-save", HINT);
    assert.equal(await chooseBackend(signal), "nft");
  });

  it("the lock held by somebody tells nothing about the rules", async () => {
    const words = "Another app is currently holding the xtables lock. Stopped waiting after 5s.";
    await tools.set("iptables-legacy-restore", `echo '${words}' >&2; exit 4`);
    await assert.rejects(new CommandNetfilter("legacy").restoreRules("ipv4", "", signal), NoAnswer);
    await tools.set("iptables-legacy-restore", "echo 'line 2 failed' >&2; exit 1");
    await assert.rejects(new CommandNetfilter("legacy").restoreRules("ipv4", "", signal), (error) => {
      return error instanceof NetfilterError && !(error instanceof NoAnswer);
    });
  });

  it("a tool that is ended tells nothing about the rules", async () => {
    await tools.set("hanging", "while :; do :; done");
    const hanging = runTool({ program: "hanging", missing: "IptablesMissing" }, [], "", AbortSignal.timeout(50));
    await assert.rejects(hanging, NoAnswer);
  });
});
