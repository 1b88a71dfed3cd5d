// From a policy that is narrowed to the first packet of a live connection that is dropped, in both backends.
// Method: two nodes as network namespaces, the enforcer's own code from raw objects to the kernel, and a TCP connection
// whose client says a line every millisecond and is answered. The policy is narrowed so that it denies the connection;
// what counts is the last answer, against the moment at which the node had confirmed the change (the first packet that is
// dropped follows it by at most a millisecond), and against the moment at which the change was given to the node.
import { setTimeout as sleep } from "node:timers/promises";
import { ingressOf } from "../cases/policies.ts";
import { monotonicMs } from "../lab/prober.ts";
import { Scene, tcp } from "../packets/faults/scene.ts";
import { WEBS } from "../packets/faults/webs.ts";
import { place } from "../packets/vigil.ts";

const ROUNDS = process.argv.includes("--quick") ? 5 : 25;
const EVERY_MS = 1;
const pair = tcp("shop/b", "shop/a");
const NARROW = { policies: { "shop/webs": ingressOf("a", [{ from: [{ podSelector: { matchLabels: { pod: "d" } } }] }]) } };

const scene = await Scene.create();
try {
  for (const backend of ["nft", "legacy"] as const) {
    await scene.bed.install({ backend });
    const [afterConfirmed, afterGiven]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      await scene.bed.apply(scene.cluster(WEBS));
      const prober = await scene.prober(...place(pair.client));
      const to = await scene.podIP(...place(pair.server));
      const hold = await prober.hold({ to, port: pair.port, protocol: "tcp", timeoutMs: 5_000 }, EVERY_MS);
      await sleep(200);
      const given = monotonicMs();
      await scene.bed.apply(scene.cluster(NARROW));
      const confirmed = monotonicMs();
      await sleep(200);
      const { lastEchoAtMs } = await hold.look();
      afterConfirmed.push(lastEchoAtMs - confirmed);
      afterGiven.push(lastEchoAtMs - given);
      await scene.quiet();
    }
    say(backend, "last answer after the change was confirmed (target: at most 5)", afterConfirmed);
    say(backend, "last answer after the change was given", afterGiven);
  }
} finally {
  await scene.remove();
}

function say(backend: string, what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const text = (value: number | undefined) => (value ?? 0).toFixed(1);
  const spread = `${text(sorted[0])} - ${text(sorted.at(-1))}, n = ${sorted.length}`;
  process.stdout.write(`${backend.padEnd(7)} ${what}: ${text(sorted[sorted.length >> 1])} ms (${spread})\n`);
}
