// How long a SegmentPolicy takes from its POST (or edit) to Ready = confirmed by both nodes of a small lab.
// Method: a real two-node cluster with 12 pods of the segment in two namespaces; the API server is asked over one kept
// connection and the status is followed by a watch, so that no kubectl start-up is in the figures. Times are of this
// process's monotonic clock. Needs root.
import { Lab } from "../lab/lab.ts";
import { loadKubeConfig } from "../../operator/kube/config.ts";
import { KubeClient } from "../../operator/kube/client.ts";
import { collectionPath, objectPath, SEGMENT_POLICIES } from "../../operator/kube/resource.ts";
import { install, podsOf } from "../packets/installation.ts";

const ROUNDS = 15;
const path = objectPath(SEGMENT_POLICIES, { name: "shop" });

function policy(port: number): object {
  const rule = (from: object, at: number) => [{ from: [from], ports: [{ port: at }] }];
  return {
    apiVersion: "tierwall.io/v1alpha1",
    kind: "SegmentPolicy",
    metadata: { name: "shop" },
    spec: {
      namespaceSelector: { matchLabels: { "tierwall.io/segment": "shop" } },
      tiers: [
        { name: "frontend", ingress: rule({ anywhere: {} }, 8080) },
        { name: "backend", ingress: rule({ tier: "frontend" }, port) },
        { name: "db", ingress: rule({ tier: "backend" }, 5432) },
      ],
    },
  };
}

interface Seen {
  readonly metadata: { readonly generation: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** Follows the policy and settles waiters when a generation is Ready. */
class ReadyWatch {
  readonly #waiting: { readonly generation: number; readonly resolve: (at: number) => void }[] = [];

  async run(client: KubeClient, signal: AbortSignal): Promise<void> {
    const query = { watch: "true", fieldSelector: "metadata.name=shop" };
    for await (const lines of client.stream({ method: "GET", path: collectionPath(SEGMENT_POLICIES), query, signal })) {
      const at = performance.now();
      for (const line of lines) {
        const { type, object } = JSON.parse(line) as { readonly type: string; readonly object: Seen };
        const ready = object.status?.conditions?.some(
          (condition) => condition.type === "Ready" && condition.status === "True",
        );
        if (type === "DELETED" || ready !== true || object.status?.observedGeneration !== object.metadata.generation)
          continue;
        for (const waiter of this.#waiting.splice(0)) waiter.resolve(at);
      }
    }
  }

  next(generation: number): Promise<number> {
    return new Promise((resolve) => this.#waiting.push({ generation, resolve }));
  }
}

function tell(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(0);
  process.stdout.write(`${what}: p50 ${at(0.5)} ms, min ${at(0)} ms, max ${at(1)} ms (n = ${times.length})\n`);
}

const lab = await Lab.start({ nodes: 2 });
try {
  await install(lab);
  for (const namespace of ["shop-a", "shop-b"]) {
    await lab.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels: { "tierwall.io/segment": "shop" } } },
    ]);
    for (const tier of ["frontend", "backend", "db"]) {
      for (const node of ["node-1", "node-2"])
        await lab.workload({ namespace, name: `${tier}-${node}`, labels: { tier }, node });
    }
    await lab.podsReady(namespace);
  }
  const client = new KubeClient(loadKubeConfig(lab.kubeconfig, {}));
  const stop = new AbortController();
  const watch = new ReadyWatch();
  const watching = watch.run(client, stop.signal).catch(() => {});
  const rollOuts: number[] = [];
  const edits: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const rolled = watch.next(1);
    const start = performance.now();
    await client.request({ method: "POST", path: collectionPath(SEGMENT_POLICIES), body: policy(8080) });
    rollOuts.push((await rolled) - start);
    // Statuses of one object are a second apart: an edit right behind would measure that.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const edited = watch.next(2);
    const again = performance.now();
    await client.request({
      method: "PATCH",
      path,
      query: { fieldManager: "bench", force: "true" },
      contentType: "application/apply-patch+yaml",
      body: policy(9090),
    });
    edits.push((await edited) - again);
    await client.request({ method: "DELETE", path });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
  }
  tell("new SegmentPolicy (10 NetworkPolicies) → Ready on 2 nodes", rollOuts);
  tell("edit of one port (4 NetworkPolicies) → Ready on 2 nodes", edits);
  const logs = await lab.get([
    "-n",
    "tierwall-system",
    "logs",
    "-l",
    "app.kubernetes.io/name=tierwall-enforcer",
    "--tail=2000",
  ]);
  const applies = [...logs.matchAll(/"milliseconds":(\d+)/g)].map(([, ms]) => Number(ms));
  tell("one apply in an enforcer", applies);
  const memory = await Promise.all(
    ["tierwall-enforcer", "tierwall-operator"].map(async (app) => {
      const names = await podsOf(lab, app);
      const sizes = await Promise.all(
        names.map(async (name) => {
          const { stdout } = await lab.kubectl([
            "-n",
            "tierwall-system",
            "exec",
            name,
            "--",
            "grep",
            "VmRSS",
            "/proc/1/status",
          ]);
          return Math.round(Number(stdout.replace(/\D/g, "")) / 1024);
        }),
      );
      return `${app}: RSS ${sizes.join(", ")} MB`;
    }),
  );
  process.stdout.write(`${memory.join("\n")}\n`);
  stop.abort();
  await watching;
  await client.close();
} finally {
  await lab.stop();
}
process.exit();
