// What an enforcer takes of its node: memory and processor time at rest, and whether memory grows while peers come and
// go. 110 pods, 200 policies, 10,000 peers; default settings.
// Method: the bundle that the image has, with the options of the DaemonSet, as a process in a network namespace of its own, with the real stream server.
// At rest: memory of the process and of the tools that it keeps running, and the share of one processor that all of
// them use. Each twelfth look at the kernel is a thorough one, so those of a while are counted that has two of them, and
// the first one, which comes after a change, is over by then (`--quick`: neither). Churn: 500 members a second are replaced, as many as a day brings at one a second; every ten
// seconds memory is read after a forced garbage collection. The slope is that of the line through the last half.
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DEFAULT_ENFORCER_SETTINGS } from "../../operator/api/enforcer-settings.ts";
import { NODE_OPTIONS } from "../../operator/control/enforcer-daemonset.ts";
import { bundleFile } from "../image/images.ts";
import type { StateDraft } from "../packets/enforcer-state.ts";
import { StreamScene } from "../packets/faults/stream-scene.ts";

const quick = process.argv.includes("--quick");
const PODS = 110;
const POLICIES = 200;
const PEERS = 10_000;
const CHURN_SECONDS = quick ? 40 : 180;
const PER_SECOND = 500;
const EVERY_SECONDS = quick ? 4 : 10;
const { driftCheckMs: DRIFT_CHECK_MS } = DEFAULT_ENFORCER_SETTINGS;
const SETTLED_AFTER_LOOKS = quick ? 3 : 13;
const LOOKS_AT_REST = quick ? 4 : 24;
/** The kernel counts processor time in hundredths of a second. */
const TICKS_A_SECOND = 100;
/** On a signal, collects garbage and says in the log what is left. */
const TELLS = `data:text/javascript,${encodeURIComponent(
  'process.on("SIGUSR2", () => { gc(); console.log(JSON.stringify({ message: "memory", ...process.memoryUsage() })); });',
)}`;

const list = <T>(count: number, entry: (index: number) => readonly [string, T]): Record<string, T> => {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => entry(index)));
};
const named = (index: number): string => `p${index % POLICIES}`;
const state: StateDraft = {
  pods: list(PODS, (index) => {
    const policies = [...new Set([named(index), named(index * 7), named(index * 11)])].toSorted();
    return [`pod${index}`, { address: `10.78.0.${index + 2}`, ingress: policies, egress: policies }];
  }),
  policies: list(POLICIES, (index) => {
    const rules = [{ peers: ["webs"], ports: [{ protocol: "TCP" as const, port: 80 + (index % 5) }] }];
    return [named(index), { ingress: rules, egress: rules }];
  }),
  peers: { webs: ["10.78.0.2"] },
};

const bundle = await bundleFile("operator/enforcer/main.ts", "enforcer.mjs");
const settings = { driftCheckMs: DRIFT_CHECK_MS, diskCopyMs: 10_000 };
const scene = await StreamScene.create(settings, [...NODE_OPTIONS, "--expose-gc", "--import", TELLS, bundle]);
try {
  await scene.enforce(state, { set: "webs", members: PEERS });
  await sleep(SETTLED_AFTER_LOOKS * DRIFT_CHECK_MS);
  atRest(await used((LOOKS_AT_REST * DRIFT_CHECK_MS) / 1_000));
  const churn = scene.order<{ readonly changes: number }>({
    do: "churn", set: "webs", perSecond: PER_SECOND, seconds: CHURN_SECONDS,
  });
  const samples: (readonly [seconds: number, megabytes: number])[] = [];
  for (let seconds = EVERY_SECONDS; seconds <= CHURN_SECONDS; seconds += EVERY_SECONDS) {
    await sleep(EVERY_SECONDS * 1_000);
    samples.push([seconds, await heap()]);
  }
  const { changes } = await churn;
  const megabytes = samples.map(([, value]) => value.toFixed(1)).join(" ");
  const slope = slopeOf(samples.slice(samples.length / 2)) * 60;
  print(`churn of ${changes} members in ${CHURN_SECONDS} s: MB after each ${EVERY_SECONDS} s: ${megabytes}`);
  print(`  over the last half ${slope.toFixed(2)} MB a minute (target below 1)`);
  print(`  memory of the process afterwards ${resident(scene.node.pid).toFixed(0)} MB`);
} finally {
  await scene.remove();
}

/** Shares of one processor: of the enforcer's process alone, and with all tools. */
interface Used {
  readonly own: number;
  readonly all: number;
}

function atRest({ own, all }: Used): void {
  const { pid } = scene.node;
  const tools = childrenOf(pid).reduce((sum, child) => sum + resident(child), 0);
  print(`at rest: ${resident(pid).toFixed(0)} MB (target 80), and ${tools.toFixed(0)} MB of tools that it keeps running`);
  const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;
  print(`  ${percent(all)} of a processor, with a look at all rules each ${DRIFT_CHECK_MS / 1_000} s (target 0.5)`);
  print(`  of that ${percent(own)} by the process itself, the rest by its tools`);
}

/** What the enforcer and its tools use, those that have ended too. */
async function used(seconds: number): Promise<Used> {
  const { pid } = scene.node;
  const before = { own: ownTicks(pid), all: ticks(pid) };
  await sleep(seconds * 1_000);
  const share = (now: number, then: number): number => (now - then) / TICKS_A_SECOND / seconds;
  return { own: share(ownTicks(pid), before.own), all: share(ticks(pid), before.all) };
}

function ownTicks(pid: number): number {
  const [user = 0, system = 0] = statOf(pid).slice(11, 13).map(Number);
  return user + system;
}

/** Of a process with the children that it has waited for, and of those that run. */
function ticks(pid: number): number {
  const ended = statOf(pid).slice(13, 15).reduce((sum, each) => sum + Number(each), 0);
  return childrenOf(pid).reduce((sum, child) => sum + ticks(child), ownTicks(pid) + ended);
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync("/proc").map(Number).filter((each) => each > 0 && parentOf(each) === pid);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(statOf(pid)[1]);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/** The fields behind the name, which may hold blanks. */
function statOf(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** Resident memory in MB. */
function resident(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)?.[1] ?? 0) / 1_024;
}

/** MB that JavaScript holds after a garbage collection. */
async function heap(): Promise<number> {
  const told = scene.saidAgain("memory");
  process.kill(scene.node.pid, "SIGUSR2");
  await told();
  const line = scene.node.log.findLast(({ message }) => message === "memory");
  return (Number(line?.["heapUsed"]) + Number(line?.["external"])) / 2 ** 20;
}

/** Of the straight line that is nearest to the samples. */
function slopeOf(samples: readonly (readonly [number, number])[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(samples.map(([at]) => at)), mean(samples.map(([, value]) => value))];
  const covariance = mean(samples.map(([at, value]) => (at - x) * (value - y)));
  return covariance / mean(samples.map(([at]) => (at - x) ** 2));
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
