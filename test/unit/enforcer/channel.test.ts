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
    assert.equal(counting.fresh, true);
    assert.equal(await counting.request("a\n", line, signal), "1 a\n");
    assert.equal(await counting.request("b\n", line, signal), "2 b\n");
    assert.equal(counting.fresh, false);
  });

  it("starts it anew after it has ended", async () => {
    const once = channel("sh", "-c", "read line; echo $$ $line");
    const first = await once.request("a\n", line, signal);
    await once.request("b\n", line, signal).catch(() => undefined);
    assert.notEqual(await once.request("c\n", line, signal), first);
  });

  it("says what the tool said when it ended without an answer", async () => {
    const failing = channel("sh", "-c", "read line; echo 'line 1 failed' >&2; exit 2");
    await assert.rejects(failing.request("a\n", line, signal), (error) => {
      return error instanceof ChannelBroken && error.message.endsWith("line 1 failed");
    });
  });

  it("says that the tool is not there", async () => {
    await assert.rejects(channel("no-such-tool").request("a\n", line, signal), /ENOENT/);
  });

  it("does not wait for a tool that hangs when it is told to stop, and does not use it again", async () => {
    const hanging = channel("sh", "-c", "while read line; do [ $line = hang ] && sleep 60; echo $line; done");
    await assert.rejects(hanging.request("hang\n", line, AbortSignal.timeout(50)), ChannelBroken);
    assert.equal(hanging.fresh, true);
    assert.equal(await hanging.request("b\n", line, signal), "b\n");
  });
});
