import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { NoAnswer } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { Shell } from "../../../operator/enforcer/netfilter/shell.ts";
import { Shells } from "../../../operator/enforcer/netfilter/shells.ts";
import { askTool } from "../../../operator/enforcer/netfilter/tool.ts";

const { signal } = new AbortController();
const LONG_MS = 20_000;
const SHELLS = new URL("../../../operator/enforcer/netfilter/shells.ts", import.meta.url).href;

describe("Shell", () => {
  let shell: Shell;
  let folder: string;

  beforeEach(async () => {
    shell = new Shell();
    folder = await mkdtemp(join(tmpdir(), "tierwall-shell-"));
  });
  afterEach(async () => {
    shell.close();
    await rm(folder, { recursive: true });
  });

  const outcomes: readonly (readonly [string, string, number, string, string])[] = [
    ["all is well", "printf 'a\\nb'", 0, "a\nb", ""],
    ["it says nothing", "true", 0, "", ""],
    ["it fails", "sh -c 'echo out; echo err >&2; exit 3'", 3, "out\n", "err\n"],
    ["it is not there", "no-such-tool 2>/dev/null", 127, "", ""],
    ["it looks for input", "cat", 0, "", ""],
    ["what it prints looks like the end", "echo '# script 1 ended with 7'; false", 1, "# script 1 ended with 7\n", ""],
  ];
  for (const [what, script, status, stdout, stderr] of outcomes) {
    it(`tells status and both outputs where ${what}`, async () => {
      const ran = await shell.run(script, signal, LONG_MS);
      assert.deepEqual([ran.status, ran.stdout.toString(), ran.stderr.toString()], [status, stdout, stderr]);
    });
  }

  it("tells all of much, and of the next script no more than it has said", async () => {
    const lines = (bytes: Buffer) => bytes.toString().split("\n").length;
    const { stdout, stderr } = await shell.run("seq 200000; seq 100000 >&2", signal, LONG_MS);
    assert.deepEqual([lines(stdout), lines(stderr)], [200_001, 100_001]);
    assert.equal((await shell.run("echo a", signal, LONG_MS)).stdout.toString(), "a\n");
  });

  it("is the same for one script after the other, also after one that failed", async () => {
    const pid = async (): Promise<string> => (await shell.run("echo $$", signal, LONG_MS)).stdout.toString();
    const first = await pid();
    await shell.run("sh -c 'kill -9 $$'", signal, LONG_MS);
    assert.equal(await pid(), first);
  });

  const ends: readonly (readonly [string, (signal: AbortController) => number])[] = [
    ["it is told to stop", (stop) => {
      setTimeout(() => stop.abort(), 200);
      return LONG_MS;
    }],
    ["it hangs", () => 200],
  ];
  for (const [when, how] of ends) {
    it(`lets nothing of a script go on when ${when}`, async () => {
      const notes = join(folder, "notes");
      const stop = new AbortController();
      const pid = Number((await shell.run("echo $$", signal, LONG_MS)).stdout);
      const works = `sh -c 'trap "" TERM; (while :; do echo x >> ${notes}; done) & wait'`;
      await assert.rejects(shell.run(works, stop.signal, how(stop)), NoAnswer);
      const written = (await readFile(notes)).length;
      assert.ok(written > 0, "it has not begun");
      assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
      await sleep(50);
      assert.equal((await readFile(notes)).length, written);
      assert.equal(shell.usable, false);
    });
  }

  it("does not wait for ever for a shell that is killed", async () => {
    await assert.rejects(shell.run("kill -9 $$", signal, LONG_MS), NoAnswer);
    assert.equal(shell.usable, false);
  });
});

describe("Shells", () => {
  let shells: Shells;
  const pid = async (script = "true"): Promise<string> => {
    return (await shells.run(`echo $$; ${script}`, signal, LONG_MS)).stdout.toString().trim();
  };
  beforeEach(() => {
    shells = new Shells();
  });
  afterEach(() => shells.close());

  it("let nobody wait for what takes long, and keep two", async () => {
    const stop = new AbortController();
    const long = shells.run("sleep 60", stop.signal, LONG_MS);
    const kept = await Promise.all([pid("sleep 0.1"), pid("sleep 0.1"), pid("sleep 0.1")]);
    assert.equal(new Set(kept).size, 3);
    const again = await Promise.all([pid("sleep 0.1"), pid("sleep 0.1"), pid("sleep 0.1")]);
    assert.equal(again.filter((each) => kept.includes(each)).length, 2);
    stop.abort();
    await assert.rejects(long, NoAnswer);
  });

  it("take another for one that was ended", async () => {
    const first = await pid();
    process.kill(Number(first), "SIGKILL");
    // Until it is known to have ended.
    await sleep(200);
    assert.notEqual(await pid(), first);
  });

  it("begin nothing for whoever has been told to stop", async () => {
    await assert.rejects(shells.run("true", AbortSignal.abort(), LONG_MS), NoAnswer);
  });

  it("end with what runs in them, and can be used again", async () => {
    const long = shells.run("sleep 60", signal, LONG_MS);
    shells.close();
    await assert.rejects(long, NoAnswer);
    assert.notEqual(await pid(), "");
  });

  const programs: readonly (readonly [string, string, string])[] = [
    ["a script that ends", '"sleep 0.2; echo done", signal, 20_000', "done\n"],
    ["a script that hangs", '"sleep 60", signal, 200', "NoAnswer"],
  ];
  for (const [when, run, said] of programs) {
    it(`let a process end that needs them no more, but not during ${when}`, async () => {
      const program = `
        const { Shells } = await import("${SHELLS}");
        const { signal } = new AbortController();
        const said = await new Shells().run(${run}).catch((error) => ({ stdout: error.constructor.name }));
        process.stdout.write(said.stdout);`;
      const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program]);
      assert.equal(stdout, said);
    });
  }

  it("take every word as it is", async () => {
    const words = ["-s", "fd00::1", "0x1/0xf", "$(id)", "a;b", "it's", "*", "", "a b", "`id`", "a\nb", "\\", '"', "~", "#"];
    const { stdout } = await askTool(shells, { program: "printf", missing: "IptablesMissing" }, ["%s|", ...words], signal);
    assert.equal(stdout, words.map((word) => `${word}|`).join(""));
  });
});
