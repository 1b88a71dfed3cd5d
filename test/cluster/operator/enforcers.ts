import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeState } from "../../../operator/api/node-state.ts";
import { ENFORCER_POD_LABELS } from "../../../operator/control/enforcer-daemonset.ts";
import { segmentNodeStatus, type NodeReport } from "../../../operator/enforcer/node-report.ts";
import { SegmentNodeWriter } from "../../../operator/enforcer/segment-node-writer.ts";
import { StreamClient } from "../../../operator/stream/client.ts";
import { waitFor } from "../../lab/wait.ts";
import type { Installation } from "./installation.ts";
import type { OperatorProcess } from "./operator-process.ts";
import type { Manifest } from "./segment.ts";

const NAMESPACE = "tierwall-system";
const ACCOUNT = "tierwall-enforcer";
const NOTHING: Omit<NodeReport, "standing"> = {
  state: undefined, wrote: true, rules: { ipv4: 0, ipv6: 0 }, sets: 0, findings: [], leaversDue: undefined,
  backend: "nft", failure: undefined,
};

/** What the API server shows of an enforcer: its Node, its pod and its SegmentNode. No kubelet runs. */
export function enforcerObjects(node: string): readonly Manifest[] {
  const pod = { name: podOf(node), namespace: NAMESPACE, labels: ENFORCER_POD_LABELS };
  const containers = [{ name: "enforcer", image: "none" }];
  return [
    { apiVersion: "v1", kind: "Node", metadata: { name: node } },
    {
      apiVersion: "v1", kind: "Pod", metadata: pod,
      spec: { nodeName: node, serviceAccountName: ACCOUNT, containers, tolerations: [{ operator: "Exists" }] },
    },
    { apiVersion: "tierwall.io/v1alpha1", kind: "SegmentNode", metadata: { name: node } },
  ];
}

/** Writes its SegmentNode as the enforcer on `node` does, which holds `state`, with what has failed since. */
export async function report(
  installation: Installation, node: string, standing: NodeReport["standing"], state?: NodeState,
  failure?: NodeReport["failure"],
): Promise<void> {
  const { url, directory } = installation.plane;
  const tokenFile = await token(installation, node);
  const writer = new SegmentNodeWriter({ server: url, caFile: join(directory, "ca.crt"), tokenFile }, node);
  const status = segmentNodeStatus({ ...NOTHING, standing, state, failure }, undefined, "test", "2026-01-01T00:00:00Z");
  await writer.write(status, AbortSignal.timeout(10_000)).finally(() => writer.close());
}

/** What the operator has told a node so far. */
export interface Told {
  /** Its whole state after the last batch. */
  readonly state: NodeState | undefined;
  /** After each batch so far. */
  readonly states: readonly NodeState[];
  readonly retired: boolean;
}

/**
 * Follows the operator's stream as the enforcer on `node`, until what it is told is as `wanted`.
 * @returns what `wanted` has made of it. @throws with the last error of `wanted`, when 10 s have passed
 */
export async function untilTold<T>(
  installation: Installation, operator: OperatorProcess, node: string, wanted: (told: Told) => T | undefined,
): Promise<T> {
  const authority = ["get", "cm", "tierwall-ca", `--namespace=${NAMESPACE}`, "-o=jsonpath={.data.ca\\.crt}"];
  const bundle = await installation.kubectl(...authority);
  const caFile = join(installation.plane.directory, "stream-ca.crt");
  await writeFile(caFile, bundle);
  const stop = new AbortController();
  let told: Told = { state: undefined, states: [], retired: false };
  const words: string[] = [];
  const running = new StreamClient({
    node, caFile, host: "127.0.0.1", port: operator.streamPort, serverName: `tierwall-operator.${NAMESPACE}.svc`,
    tokenFile: await token(installation, node, "tierwall-operator"),
    onHello: () => undefined,
    onBatch: ({ state }) => void (told = { ...told, state, states: [...told.states, state] }),
    onRetire: () => void (told = { ...told, retired: true }),
    onState: (state, message) => void words.push(`${state} ${message}`),
    sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
    monotonic: () => performance.now(), random: () => 0.1,
  }).run(stop.signal);
  try {
    return await waitFor(`node ${node} is told what it waits for`, async () => {
      const found = wanted(told);
      if (found === undefined) throw new Error(words.join("; "));
      return found;
    }, { timeoutMs: 10_000 });
  } finally {
    stop.abort();
    await running;
  }
}

/** The first that the operator says to the enforcer on `node`. */
export function firstWord(
  installation: Installation, operator: OperatorProcess, node: string,
): Promise<"retire" | "state"> {
  return untilTold(installation, operator, node, ({ state, retired }) => {
    if (retired) return "retire";
    return state === undefined ? undefined : "state";
  });
}

/** @returns a file with a token that is bound to the enforcer's pod */
async function token(installation: Installation, node: string, audience?: string): Promise<string> {
  const bound = ["--bound-object-kind=Pod", `--bound-object-name=${podOf(node)}`];
  const meant = audience === undefined ? [] : [`--audience=${audience}`];
  const text = await installation.kubectl("create", "token", ACCOUNT, `--namespace=${NAMESPACE}`, ...bound, ...meant);
  const path = join(installation.plane.directory, `${node}-${audience ?? "api"}.token`);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

function podOf(node: string): string {
  return `${ACCOUNT}-${node}`;
}
