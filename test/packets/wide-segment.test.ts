import { setTimeout as pause } from "node:timers/promises";

import { hasStatus } from "../../operator/kube/api-error.ts";
import { KubeClient } from "../../operator/kube/client.ts";
import { loadKubeConfig } from "../../operator/kube/config.ts";
import { collectionPath, NETWORK_POLICIES, objectPath, SEGMENT_POLICIES } from "../../operator/kube/resource.ts";
import { Lab } from "../lab/lab.ts";
import { waitFor } from "../lab/wait.ts";
import { install } from "./installation.ts";
import { SERVED } from "./shop.ts";
import { place, Vigil } from "./vigil.ts";
import {
  CUT_BY_NEW_LABEL, fates, labelOf, LEAVER, namespaceObjects, NAMESPACES, OPEN, PODS, POLICY, policyObject, type World,
} from "./wide-segment-scene.ts";

/** Something that is done, and how the world is once it is in force. Each starts from where the one before ended. */
interface Step {
  readonly name: string;
  readonly change: Partial<World>;
  /** Default: the SegmentPolicy is applied. */
  readonly by?: "label" | "background" | "foreground";
  /** What an enforcer's log says afterwards. */
  readonly says?: RegExp;
}

const STEPS: readonly Step[] = [
  { name: "apply", change: { placed: true } },
  { name: "an edit of a rule", change: { database: "udp" } },
  { name: "Enforce → Audit", change: { mode: "Audit" }, says: /"message":"packet would be dropped".*"policies":\["wide"\]/ },
  { name: "Audit → Enforce", change: { mode: "Enforce" } },
  { name: "an edit of a podSelector", change: { narrowBackend: true } },
  { name: "a direction given up", change: { policyTypes: ["Ingress"] } },
  { name: "a direction taken up", change: { policyTypes: ["Ingress", "Egress"] } },
  { name: "another quarantine label", change: CUT_BY_NEW_LABEL },
  { name: "a namespace leaves the segment", change: { outside: LEAVER }, by: "label" },
  { name: "it comes back", change: { outside: undefined }, by: "label" },
  { name: "deletion in the background", change: { placed: false }, by: "background" },
  { name: "apply once more", change: { placed: true } },
  { name: "deletion in the foreground", change: { placed: false }, by: "foreground" },
];

describe(`one SegmentPolicy over ${NAMESPACES} namespaces, on packets`, function () {
  this.timeout(180_000);
  let lab: Lab;
  let client: KubeClient;
  let world = OPEN;

  before(async () => {
    lab = await Lab.start({ nodes: 2 });
    client = new KubeClient(loadKubeConfig(lab.kubeconfig, {}));
    await install(lab);
    await lab.apply([...namespaceObjects(), { apiVersion: "v1", kind: "Namespace", metadata: { name: "other" } }]);
    await Promise.all(
      PODS.map(({ name, ...pod }) => {
        const [namespace, own] = place(name);
        return lab.workload({ ...pod, namespace, name: own, tcp: SERVED, udp: SERVED, cpu: "250m" });
      }),
    );
    const places = new Set(PODS.map(({ name }) => place(name)[0]));
    await Promise.all([...places].map((namespace) => lab.podsReady(namespace)));
  });
  after(async () => {
    await client?.close();
    await lab?.stop();
  });

  async function take({ by }: Step, next: World): Promise<void> {
    if (by === undefined) await lab.apply([policyObject(next)]);
    else if (by === "label") await lab.get(["label", "namespace", LEAVER, labelOf(next)]);
    else await lab.get(["delete", "segpol", POLICY, `--cascade=${by}`, "--wait=false"]);
  }

  /** What the status says of the newest generation: in force in all namespaces and on all nodes, newcomers too. */
  async function isReady({ outside }: World): Promise<true | undefined> {
    const shown = (await client.request({ method: "GET", path: objectPath(SEGMENT_POLICIES, { name: POLICY }) })) as {
      readonly metadata: { readonly generation: number };
      readonly status: {
        readonly observedGeneration: number;
        readonly conditions?: readonly { readonly type: string; readonly status: string }[];
        readonly namespaces?: { readonly summary: string };
        readonly nodes?: { readonly pending: number };
      };
    };
    const { observedGeneration, conditions = [], namespaces, nodes } = shown.status;
    const all = NAMESPACES - (outside === undefined ? 0 : 1);
    const ready =
      observedGeneration === shown.metadata.generation &&
      conditions.some(({ type, status }) => type === "Ready" && status === "True") &&
      namespaces?.summary === `${all}/${all}` &&
      nodes?.pending === 0;
    if (ready) return true;
    throw new Error(JSON.stringify(shown.status));
  }

  /** The SegmentPolicy is gone, and with it all that was generated. */
  async function isGone(): Promise<true | undefined> {
    const path = collectionPath(NETWORK_POLICIES);
    const query = { labelSelector: `tierwall.io/policy=${POLICY}`, limit: "1" };
    const left = (await client.request({ method: "GET", path, query })) as { readonly items: readonly unknown[] };
    if (left.items.length > 0) return undefined;
    return client.request({ method: "GET", path: objectPath(SEGMENT_POLICIES, { name: POLICY }) }).then(
      () => undefined,
      (error: unknown) => hasStatus(error, 404) || undefined,
    );
  }

  async function isSaid(wanted: RegExp | undefined): Promise<true | undefined> {
    const enforcers = ["-n", "tierwall-system", "-l", "app.kubernetes.io/name=tierwall-enforcer", "--tail=1000"];
    return wanted?.test(await lab.get(["logs", ...enforcers])) === true ? true : undefined;
  }

  for (const step of STEPS) {
    it(`${step.name}: nothing allowed is lost on the way, and what is denied is dropped in the end`, async () => {
      const next = { ...world, ...step.change };
      const { open, dropped, cut, opened } = fates(world, next);
      const vigil = await Vigil.start(lab, [...open, ...dropped, ...cut, ...opened]);
      await pause(500);
      const begun = vigil.mark(step.name);
      await take(step, next);
      await waitFor(step.name, () => (next.placed ? isReady(next) : isGone()), { timeoutMs: 90_000 });
      const inForce = vigil.mark("in force");
      await pause(1_000);
      const settled = vigil.mark("a second later");
      await pause(500);
      if (step.says !== undefined) await waitFor(`${step.says} in a log`, () => isSaid(step.says), { timeoutMs: 20_000 });
      const report = await vigil.stop();
      world = next;
      tell(`in force after ${Math.round(inForce - begun)} ms; ${report.summary}`);
      report.assertAll(open, "open");
      report.assertAll(dropped, "dropped");
      report.assertAll(cut, "open", { to: begun - 1 });
      report.assertAll(cut, "dropped", { from: inForce });
      report.assertAll(opened, "dropped", { to: begun - 1 });
      report.assertAll(opened, "open", { from: settled });
    });
  }
});

/** For people who read the test's output. */
function tell(line: string): void {
  process.stdout.write(`      ${line}\n`);
}
