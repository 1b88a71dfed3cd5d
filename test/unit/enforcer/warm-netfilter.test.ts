import assert from "node:assert/strict";
import { NetfilterError, NoAnswer } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { WarmNetfilter } from "../../../operator/enforcer/netfilter/warm-netfilter.ts";
import { FakeNetfilter } from "./fake-netfilter.ts";
import { StandInTools } from "./stand-in-tools.ts";

const MAKE = "*filter\n:TW-A - [0:0]\nCOMMIT\n";
const INSERT = "*filter\n-I TW-A 1 -j RETURN\nCOMMIT\n";
const BAD = "*filter\n-X TW-NONE\nCOMMIT\n";

/**
 * Notes each transaction that it commits, and echoes comments, as iptables-restore does. It is killed after the commit
 * of one that inserts into a chain whose name ends with DIES, and refuses to remove chains.
 */
const RESTORE = `
block=
while read -r line; do
  case "$line" in
    '#'*) echo "$line" ;;
    COMMIT)
      echo "$block" >> "$NOTES"
      case "$block" in *DIES*) kill -9 $$ ;; esac
      block= ;;
    *HANGS*) exec sleep 60 ;;
    -X*) echo 'line 2 failed' >&2; exit 1 ;;
    '*filter') ;;
    *) block="$block$line" ;;
  esac
done`;

describe("WarmNetfilter", () => {
  const { signal } = new AbortController();
  let tools: StandInTools;
  let cold: FakeNetfilter;
  let warm: WarmNetfilter;

  beforeEach(async () => {
    tools = await StandInTools.create();
    await tools.set("iptables-nft-restore", RESTORE);
    cold = new FakeNetfilter();
    warm = new WarmNetfilter(cold);
  });
  afterEach(async () => {
    warm.close();
    await tools.remove();
  });

  it("tells one running tool all transactions, and the cold way none", async () => {
    await warm.restoreRules("ipv4", MAKE + INSERT, signal);
    await warm.restoreRules("ipv4", INSERT, signal);
    assert.deepEqual(await tools.notes(), [":TW-A - [0:0]", "-I TW-A 1 -j RETURN", "-I TW-A 1 -j RETURN"]);
    assert.deepEqual(cold.written, []);
  });

  for (const [text, committed] of [
    [INSERT.replace("TW-A", "TW-DIES"), ["-I TW-DIES 1 -j RETURN"]],
    [MAKE.replace("TW-A", "TW-DIES") + INSERT, [":TW-DIES - [0:0]"]],
    [MAKE + INSERT.replace("TW-A", "TW-DIES"), [":TW-A - [0:0]", "-I TW-DIES 1 -j RETURN"]],
  ] as const) {
    it(`tells nobody once more what a tool that was killed has committed: ${committed.join("; ")}`, async () => {
      await assert.rejects(warm.restoreRules("ipv4", text, signal), NoAnswer);
      assert.deepEqual(await tools.notes(), committed);
      assert.deepEqual(cold.written, []);
    });
  }

  it("tells nobody once more what a tool may have done that hangs", async () => {
    const stop = AbortSignal.timeout(100);
    await assert.rejects(warm.restoreRules("ipv4", INSERT.replace("TW-A", "TW-HANGS"), stop), NoAnswer);
    assert.deepEqual(cold.written, []);
  });

  it("lets the cold way say why when the first transaction is refused", async () => {
    await assert.rejects(warm.restoreRules("ipv4", BAD + MAKE, signal), /no chain by that name: -X TW-NONE/);
    assert.deepEqual(cold.written, [["rules", BAD + MAKE]]);
    assert.deepEqual(await tools.notes(), []);
  });

  it("says itself why when a later one is refused, since those before it are in force", async () => {
    await assert.rejects(warm.restoreRules("ipv4", MAKE + BAD, signal), (error) => {
      return error instanceof NetfilterError && !(error instanceof NoAnswer) && error.message.endsWith("line 2 failed");
    });
    assert.deepEqual(await tools.notes(), [":TW-A - [0:0]"]);
    assert.deepEqual(cold.written, []);
  });

  it("goes the cold way where the tool cannot be started", async () => {
    tools.hideOthers();
    await warm.restoreRules("ipv4", MAKE, signal);
    assert.deepEqual(cold.written, [["rules", MAKE]]);
  });

  it("starts another tool after one that was killed", async () => {
    await warm.restoreRules("ipv4", INSERT.replace("TW-A", "TW-DIES"), signal).catch(() => undefined);
    await warm.restoreRules("ipv4", MAKE, signal);
    assert.deepEqual((await tools.notes()).at(-1), ":TW-A - [0:0]");
    assert.deepEqual(cold.written, []);
  });
});
