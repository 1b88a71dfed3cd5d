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

const { signal } = new AbortController();

describe("what cannot be read", () => {
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

describe("what connection tracking is told to forget", () => {
  let tools: StandInTools;
  let kernel: CommandNetfilter;

  beforeEach(async () => {
    tools = await StandInTools.create();
    kernel = new CommandNetfilter("nft");
  });
  afterEach(async () => {
    kernel.close();
    await tools.remove();
  });

  const forget = (stop = signal) => kernel.forgetAddress("ipv4", "10.1.0.5", stop);
  const SIDES = ["-s", "-d", "-r"].map((side) => `-D -f ipv4 ${side} 10.1.0.5`);

  it("is whatever comes from or goes to an address", async () => {
    await tools.set("conntrack", 'echo "$*" >> $NOTES');
    await forget();
    assert.deepEqual(await tools.notes(), SIDES);
  });

  it("may be nothing", async () => {
    await tools.set("conntrack", 'echo "$*" >> $NOTES; echo "conntrack v1.4.7: 0 flow entries have been deleted." >&2; exit 1');
    await forget();
    assert.deepEqual(await tools.notes(), SIDES);
  });

  it("is asked for once more where a connection ends by itself meanwhile, but not for ever", async () => {
    const stops = (times: number) => `
      echo x >> $NOTES
      [ $(wc -l < $NOTES) -gt ${times} ] || { echo "conntrack: Operation failed: such conntrack doesn't exist" >&2; exit 1; }`;
    await tools.set("conntrack", stops(5));
    await forget();
    assert.equal((await tools.notes()).length, 5 + SIDES.length);
    await tools.set("conntrack", stops(1_000));
    await assert.rejects(forget(), { name: "NetfilterError", message: /^conntrack -D -f ipv4 -s 10\.1\.0\.5: .*doesn't exist$/ });
  });

  it("is not taken for forgotten where conntrack fails, is killed, or is not there", async () => {
    await tools.set("conntrack", "echo 'conntrack: Operation not permitted' >&2; exit 1");
    await assert.rejects(forget(), { reason: "ApplyFailed", message: /Operation not permitted$/ });
    await tools.set("conntrack", "kill -9 $$");
    await assert.rejects(forget(), NoAnswer);
    await tools.drop("conntrack");
    tools.hideOthers();
    await assert.rejects(new CommandNetfilter("nft").forgetAddress("ipv4", "10.1.0.5", signal), { reason: "ConntrackMissing" });
  });

  it("is no more once somebody has said stop, whatever runs: the address may soon be another pod's", async () => {
    await tools.set("conntrack", "while :; do echo x >> $NOTES; done");
    const stop = new AbortController();
    const forgotten = forget(stop.signal);
    setTimeout(() => stop.abort(), 200);
    await assert.rejects(forgotten, NoAnswer);
    const { length } = await tools.notes();
    assert.ok(length > 0, "it has not begun");
    await new Promise((resolve) => void setTimeout(resolve, 50));
    assert.equal((await tools.notes()).length, length);
  });
});

describe("the outline of a kernel", () => {
  let tools: StandInTools;
  let kernel: CommandNetfilter;
  const rules = (...lines: readonly string[]): string => `
    echo "# Generated on $(date +%N)"
    echo '*filter'
    echo ":FORWARD ACCEPT [$(date +%N):0]"
    cat <<'END'
:KUBE-FORWARD - [0:0]
:TW-FWD - [0:0]
${lines.join("\n")}
COMMIT
END
    echo "# Completed on $(date +%N)"`;
  const listed = (memory: number, entries: number): string => `cat <<'END'
Name: TW-u1
Type: hash:ip
Revision: 6
Header: family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0x2
Size in memory: ${memory}
References: 1
Number of entries: ${entries}
END`;
  /** It prompts before each command, as ipset does that is kept running. */
  const IPSET = `
    [ "$1" = - ] || exec listing
    printf 'ipset> '
    while read -r command; do
      echo "$command" >> $NOTES
      listing 2>&1
      printf 'ipset> '
    done`;
  const FORWARD = "-A FORWARD -j TW-FWD";
  const FWD = "-A TW-FWD -j RETURN";

  beforeEach(async () => {
    tools = await StandInTools.create();
    kernel = new CommandNetfilter("nft");
    await tools.set("iptables-nft-save", rules(FORWARD, "-A KUBE-FORWARD -j ACCEPT", FWD));
    await tools.set("ip6tables-nft-save", rules());
    await tools.set("ipset", IPSET);
    await tools.set("listing", listed(256, 1));
  });
  afterEach(async () => {
    kernel.close();
    await tools.remove();
  });

  const outline = () => kernel.outline("ipv4", "counted", signal);
  const changes: readonly (readonly [string, string, string, boolean])[] = [
    ["nothing but time and counters", "iptables-nft-save", rules(FORWARD, "-A KUBE-FORWARD -j ACCEPT", FWD), false],
    ["rules of others", "iptables-nft-save", rules(FORWARD, "-A KUBE-FORWARD -j DROP", FWD), false],
    ["the other family's rules", "ip6tables-nft-save", rules(FORWARD, FWD), false],
    ["a rule of ours", "iptables-nft-save", rules(FORWARD, "-A KUBE-FORWARD -j ACCEPT", "-A TW-FWD -j DROP"), true],
    ["a rule of ours that is gone", "iptables-nft-save", rules(FORWARD, "-A KUBE-FORWARD -j ACCEPT"), true],
    ["what comes before our jump", "iptables-nft-save", rules("-A FORWARD -j ACCEPT", FORWARD, "-A KUBE-FORWARD -j ACCEPT", FWD), true],
    ["a table that is empty", "iptables-nft-save", "true", true],
    ["the memory of a set", "listing", listed(512, 1), false],
    ["the members of a set", "listing", listed(256, 2), true],
    ["a set that is gone", "listing", "true", true],
  ];
  for (const [what, program, script, differs] of changes) {
    it(`${differs ? "changes" : "stays the same"} with ${what}`, async () => {
      const before = await outline();
      await tools.set(program, script);
      assert.equal((await outline()) !== before, differs);
      // What has been seen once is not taken for what is there.
      await tools.set(program, program === "listing" ? listed(256, 1) : rules(FORWARD, "-A KUBE-FORWARD -j ACCEPT", FWD));
      if (program !== "ip6tables-nft-save") assert.equal(await outline(), before);
    });
  }

  it("changes with each member where they are listed", async () => {
    const members = async (...ips: readonly string[]): Promise<string> => {
      await tools.set("listing", ips.map((ip) => `echo 'add TW-u1 ${ip}'`).join("\n"));
      return await kernel.outline("ipv4", "listed", signal);
    };
    const before = await members("10.0.0.1", "10.0.0.2");
    assert.notEqual(await members("10.0.0.1", "10.0.0.3"), before);
    assert.equal(await members("10.0.0.1", "10.0.0.2"), before);
  });

  it("is known also where the node lacks the other family, and what is wrong is said", async () => {
    const before = await outline();
    await tools.set("ip6tables-nft-save", "exit 1");
    assert.equal(await outline(), before);
    await tools.set("iptables-nft-save", "echo 'no such thing' >&2; exit 1");
    await assert.rejects(outline(), { message: "iptables-nft-save -t filter: no such thing" });
  });

  it("of both families at once is one look at the sets", async () => {
    await Promise.all([outline(), kernel.outline("ipv6", "counted", signal)]);
    await outline();
    assert.deepEqual(await tools.notes(), ["list -t", "list -t"]);
  });

  it("is not known where ipset fails, also after it has listed some sets", async () => {
    await outline();
    await tools.set("listing", `${listed(256, 1)}\necho 'ipset v7.17: Kernel error received: no' >&2; exit 1`);
    await assert.rejects(outline(), { message: "ipset list -t: ipset v7.17: Kernel error received: no" });
  });

  it("is known also where ipset does not stay", async () => {
    const before = await outline();
    kernel.close();
    await tools.set("ipset", "exec listing");
    assert.equal(await outline(), before);
  });
});
