import assert from "node:assert/strict";
import { Channel, ChannelBroken } from "../../../operator/enforcer/netfilter/channel.ts";

const { signal } = new AbortController();
const line = (output: string) => output.endsWith("\n");

describe("Channel", () => {
  const channels: Channel[] = [];
  const channel = (...command: readonly [string, ...string[]]): Channel => {
    const made = new Channel(command);
    channels.push(made);
    return made;
  };

  afterEach(() => {
    for (const each of channels.splice(0)) each.close();
  });

  it("keeps the tool running from one request to the next", async () => {
    const counting = channel("sh", "-c", "n=0; while read line; do n=$((n + 1)); echo $n $line; done");
    assert.equal(await counting.request("a\n", line, signal), "1 a\n");
    assert.equal(await counting.request("b\n", line, signal), "2 b\n");
  });

  it("lets requests that come together wait for each other, and tells the first that the tool is new", async () => {
    const echoing = channel("sh", "-c", "while read line; do sleep 0.02; echo $line; done");
    const news: boolean[] = [];
    const answers = await Promise.all(["a", "b", "c"].map((word) => {
      return echoing.request(`${word}\n`, (output, fresh) => {
        if (line(output)) news.push(fresh);
        return line(output);
      }, signal);
    }));
    assert.deepEqual(answers, ["a\n", "b\n", "c\n"]);
    assert.deepEqual(news, [true, false, false]);
  });

  it("starts it anew after it has ended", async () => {
    const once = channel("sh", "-c", "read line; echo $$ $line");
    const first = await once.request("a\n", line, signal);
    // That it has ended may show only when it is asked.
    const next = await once.request("b\n", line, signal).catch(() => once.request("c\n", line, signal));
    assert.notEqual(next.split(" ")[0], first.split(" ")[0]);
  });

  it("says what the tool said when it ended without an answer", async () => {
    const failing = channel("sh", "-c", "read line; echo 'line 1 failed' >&2; exit 2");
    await assert.rejects(failing.request("a\n", line, signal), (error) => {
      return error instanceof ChannelBroken && error.message.endsWith("line 1 failed");
    });
  });

  const ends: readonly (readonly [string, string, boolean])[] = [
    ["ends by itself with an error", "exit 2", true],
    ["ends as if all were well", "exit 0", false],
    ["is killed", "kill -9 $$", false],
  ];
  for (const [how, script, refused] of ends) {
    it(`tells that what a tool has not answered ${refused ? "has not happened" : "may have happened"} when it ${how}`, async () => {
      const ending = channel("sh", "-c", `read line; printf half; ${script}`);
      await assert.rejects(ending.request("a\n", line, signal), (error) => {
        assert.ok(error instanceof ChannelBroken);
        assert.deepEqual([error.refused, error.output], [refused, "half"]);
        return true;
      });
    });
  }

  it("says that the tool is not there", async () => {
    await assert.rejects(channel("no-such-tool").request("a\n", line, signal), { message: /ENOENT/, refused: true });
  });

  it("does not wait for a tool that hangs when it is told to stop, and does not use it again", async () => {
    const hanging = channel("sh", "-c", "while read line; do [ $line = hang ] && exec sleep 60; echo $line; done");
    const hung = hanging.request("hang\n", line, AbortSignal.timeout(50));
    await assert.rejects(hung, (error) => error instanceof ChannelBroken && !error.refused);
    assert.equal(await hanging.request("b\n", line, signal), "b\n");
  });
});
