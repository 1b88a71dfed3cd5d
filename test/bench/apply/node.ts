/** One backend's figures, inside the namespace of a node. */
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_ENFORCER_SETTINGS } from "../../../operator/api/enforcer-settings.ts";
import type { LocalPod, NodeState, PodUid } from "../../../operator/api/node-state.ts";
import { LinuxHost } from "../../../operator/enforcer/host.ts";
import { CommandNetfilter } from "../../../operator/enforcer/netfilter/command-netfilter.ts";
import type { Backend } from "../../../operator/enforcer/netfilter/netfilter.ts";
import { WarmNetfilter } from "../../../operator/enforcer/netfilter/warm-netfilter.ts";
import { NodeFirewall } from "../../../operator/enforcer/node-firewall.ts";
import { BatchAssembler } from "../../../operator/stream/batch.ts";
import { messageLine, parseMessage, snapshotMessages } from "../../../operator/stream/codec.ts";
import type { StreamMessage } from "../../../operator/stream/wire.ts";
import { nodeState } from "../../packets/enforcer-state.ts";

const backend = process.argv[2] as Backend;
const { signal } = new AbortController();
const PODS = 110;
const POLICIES = 200;
const SETS = 10;
const MEMBERS = 1_000;
const REST_MS = 30;

const record = <T>(count: number, entry: (index: number) => readonly [string, T]): Record<string, T> => {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => entry(index)));
};
const policy = (index: number): string => `p${String(index % POLICIES).padStart(3, "0")}`;
const policiesOf = (index: number): readonly string[] => {
  return [...new Set([policy(index), policy(index * 7), policy(index * 11)])].toSorted();
};
const start: NodeState = nodeState({
  pods: record(PODS, (index) => {
    return [`pod${index}`, { address: `10.1.0.${index + 2}`, ingress: policiesOf(index), egress: policiesOf(index) }];
  }),
  policies: record(POLICIES, (index) => {
    const ports = [{ protocol: "TCP" as const, port: 80 + (index % 5) }];
    const rules = [{ peers: [`s${index % SETS}`, `s${(index + 1) % SETS}`], ports }];
    return [policy(index), { ingress: rules, egress: rules }];
  }),
  peers: record(SETS, (set) => {
    return [`s${set}`, Array.from({ length: MEMBERS }, (_, index) => `10.2.${set * 4 + (index >> 8)}.${index & 255}`)];
  }),
});

/** The enforcer's road from lines to the kernel. */
class Node {
  readonly firewall = new NodeFirewall({
    netfilter: (chosen) => new WarmNetfilter(new CommandNetfilter(chosen)),
    chooseBackend: async () => backend,
    host: new LinuxHost(),
    monotonic: () => performance.now(),
  });
  readonly #assembler = new BatchAssembler("n");
  #revision = 0;

  async greet(): Promise<void> {
    const settings = { ...DEFAULT_ENFORCER_SETTINGS, backend };
    this.#assembler.take({ type: "hello", protocol: 1, version: "1", node: "n", settings, podCIDRs: [] });
    await this.firewall.prepare({ ...settings, podCIDRs: [] }, signal);
  }

  /** Milliseconds that a batch of messages takes. */
  async take(messages: Iterable<StreamMessage>): Promise<number> {
    this.#revision += 1;
    const lines = [...messages, { type: "revision", revision: this.#revision, versions: {}, complete: true } as const].map(messageLine);
    const begin = performance.now();
    for (const line of lines) {
      const batch = this.#assembler.take(parseMessage(line.trimEnd()));
      if (batch !== undefined && "state" in batch) await this.firewall.apply(batch.state, signal);
    }
    return performance.now() - begin;
  }

  /** What an enforcer does when nothing else is to be done; the kernel then lets go of what was removed. */
  async rest(): Promise<void> {
    await this.firewall.sweep(signal).catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
    await sleep(REST_MS);
  }
}

const node = new Node();
await node.greet();
say("cold apply of all", [await node.take(snapshotMessages(start))]);
await node.rest();

const peers = (add: readonly string[], remove: readonly string[]): StreamMessage => (
  { type: "peers", id: "s0" as never, kind: "address", add, remove }
);
const joins: number[] = [];
const leaves: number[] = [];
for (let index = 0; index < 100; index += 1) {
  joins.push(await node.take([peers([`10.9.0.${index}`], [])]));
  await node.rest();
}
for (let index = 0; index < 30; index += 1) {
  leaves.push(await node.take([peers([], [`10.9.0.${index}`])]));
  await node.rest();
}
say("a peer joins", joins);
const rush: number[] = [];
for (let index = 0; index < 300; index += 1) rush.push(await node.take([peers([`10.8.${index >> 8}.${index & 255}`], [])]));
await node.rest();
say("peers join one right after the other, each", rush);
say("a peer leaves (its connections within 1 s)", leaves);

const pod = (index: number): LocalPod => ({
  uid: `new${index}` as PodUid, namespace: "default", name: `new${index}`, addresses: [`10.1.0.${130 + index}`], ports: [],
  ingress: policiesOf(index) as never, egress: policiesOf(index) as never,
});
const starts: number[] = [];
const ends: number[] = [];
for (let index = 0; index < 100; index += 1) {
  const own = pod(index);
  starts.push(await node.take([{ type: "pod", uid: own.uid, pod: own }, peers(own.addresses, [])]));
  await node.rest();
  if (index < 20) continue;
  const old = pod(index - 20);
  ends.push(await node.take([{ type: "pod", uid: old.uid, pod: null }, peers([], old.addresses)]));
  await node.rest();
}
say("a local pod starts, isolated, a peer itself", starts);
say("a local pod ends", ends);

const narrowings: number[] = [];
for (const policy of start.policies.values().take(1)) {
  for (let index = 0; index < 30; index += 1) {
    const ports = [{ protocol: "TCP" as const, port: 2_000 + index }];
    const narrowed = { ...policy, ingress: policy.ingress.map((rule) => ({ ...rule, ports })) };
    narrowings.push(await node.take([{ type: "policy", id: policy.id, policy: narrowed }]));
    await node.rest();
  }
}
say("a policy's port changes", narrowings);

const again = new Node();
const began = performance.now();
await again.greet();
const prepared = performance.now() - began;
say("a start on what another left: until ready for the first state", [prepared]);
say("  the first state, with the difference to the end of this run", [await again.take(snapshotMessages(start))]);
await again.rest();
const third = new Node();
await third.greet();
say("  the same again: nothing to write", [await third.take(snapshotMessages(start))]);
globalThis.gc?.();
process.stdout.write(`${backend.padEnd(7)} RSS ${Math.round(process.memoryUsage.rss() / 1e6)} MB (with Node's tests, not bundled)\n`);
process.exit(0);

function say(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const text = (value: number | undefined) => (value ?? 0).toFixed(2);
  const spread = sorted.length === 1 ? "" : ` (${text(sorted[0])} - ${text(sorted.at(-1))}, n = ${sorted.length})`;
  process.stdout.write(`${backend.padEnd(7)} ${what}: ${text(sorted[sorted.length >> 1])} ms${spread}\n`);
}
