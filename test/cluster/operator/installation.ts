import { readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { hasStatus } from "../../../operator/kube/api-error.ts";
import { KubeClient } from "../../../operator/kube/client.ts";
import { loadKubeConfig } from "../../../operator/kube/config.ts";
import {
  collectionPath, EVENTS, NETWORK_POLICIES, objectPath, SEGMENT_POLICIES,
} from "../../../operator/kube/resource.ts";
import { ControlPlane, type ControlPlaneOptions } from "../../lab/control-plane.ts";
import { waitFor } from "../../lab/wait.ts";
import { AuditLog } from "./audit-log.ts";
import { OperatorProcess, type OperatorSettings } from "./operator-process.ts";
import type { Manifest } from "./segment.ts";
import type { ShownPolicy, ShownStatus } from "./status-contract.ts";
import { StatusRecorder } from "./status-recorder.ts";

const OVERLAY = fileURLToPath(new URL("../../../kustomize/overlays/default", import.meta.url));
export const ACCOUNT = { namespace: "tierwall-system", name: "tierwall-operator" };

/** A NetworkPolicy as the API server shows it. */
export interface ShownNetworkPolicy {
  readonly metadata: {
    readonly name: string; readonly namespace: string; readonly uid: string; readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>; readonly ownerReferences?: readonly unknown[];
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface ShownEvent {
  readonly reason: string;
  readonly note: string;
  readonly type: string;
  readonly regarding: { readonly name: string };
}

/**
 * Starts the next usual installation while the tests of one run, which is mostly waiting; only in a run of everything:
 * one test file needs no second.
 */
export class InstallationStock {
  readonly #ahead: boolean;
  #next: Promise<Installation> | undefined;

  constructor(ahead: boolean) {
    this.#ahead = ahead;
  }

  async take(): Promise<Installation> {
    const taken = await (this.#next ?? this.#start());
    this.#next = this.#ahead ? this.#start() : undefined;
    // Told to who takes it.
    this.#next?.catch(() => undefined);
    return taken;
  }

  /** Stops what nobody has taken. */
  async clear(): Promise<void> {
    const next = await this.#next?.catch(() => undefined);
    this.#next = undefined;
    await next?.stop();
  }

  #start(): Promise<Installation> {
    return Installation.fresh({ controllerManager: true });
  }
}

export const STOCK = new InstallationStock(process.env["TIERWALL_THOROUGH"] === "1");

/** A control plane with what `kubectl apply -k` puts there. The operators run as processes beside it. */
export class Installation {
  readonly plane: ControlPlane;
  /** The administrator's. */
  readonly client: KubeClient;
  readonly audit: AuditLog;
  readonly statuses: StatusRecorder;
  readonly #operators: OperatorProcess[] = [];

  private constructor(plane: ControlPlane, client: KubeClient) {
    this.plane = plane;
    this.client = client;
    this.audit = new AuditLog(plane.auditLog);
    this.statuses = new StatusRecorder(client);
    process.once("exit", this.#kill);
  }

  /** Without options one that may have been started ahead. */
  static async start(options?: ControlPlaneOptions): Promise<Installation> {
    return options === undefined ? await STOCK.take() : await Installation.fresh(options);
  }

  static async fresh(options: ControlPlaneOptions): Promise<Installation> {
    const plane = await ControlPlane.start(options);
    try {
      await done(plane, ["apply", "--server-side", `--kustomize=${OVERLAY}`]);
      const kinds = ["crd/segmentpolicies.tierwall.io", "crd/segmentnodes.tierwall.io"];
      await done(plane, ["wait", "--for=condition=Established", ...kinds]);
      return new Installation(plane, new KubeClient(loadKubeConfig(plane.kubeconfig, {})));
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    process.off("exit", this.#kill);
    this.#kill();
    await this.statuses.stop();
    await this.client.close();
    await this.plane.stop();
  }

  /** Also when the test run ends before its time. */
  readonly #kill = (): void => {
    for (const operator of this.#operators) operator.kill();
  };

  /** Writes a kubeconfig of the operator's ServiceAccount, with a token of its own. @returns its path */
  async operatorKubeconfig(name: string): Promise<string> {
    const path = join(this.plane.directory, `${name}.kubeconfig`);
    await rename(await this.plane.kubeconfigFor(ACCOUNT), path);
    return path;
  }

  /** Starts a replica and does not wait for it. */
  async startOperator(name: string, settings: OperatorSettings = {}): Promise<OperatorProcess> {
    return this.startOperatorWith(name, await this.operatorKubeconfig(name), settings);
  }

  /** The same with a kubeconfig that was made before. */
  async startOperatorWith(name: string, kubeconfig: string, settings: OperatorSettings = {}): Promise<OperatorProcess> {
    const operator = await OperatorProcess.start({ name, directory: this.plane.directory, kubeconfig, settings });
    this.#operators.push(operator);
    return operator;
  }

  /** What the audit log shows of a replica's token. */
  async credentialOf(operator: OperatorProcess): Promise<string> {
    const text = await readFile(join(this.plane.directory, `${operator.name}.kubeconfig`), "utf8");
    const payload = /[\w-]+\.([\w-]+)\.[\w-]{20,}/.exec(text)?.[1] ?? "";
    const { jti }: { jti?: string } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return `JTI=${jti}`;
  }

  /** As users do. @throws with kubectl's words */
  async apply(...manifests: readonly Manifest[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: "v1", kind: "List", items: manifests });
    await done(this.plane, ["apply", "--server-side", "--force-conflicts", "--filename=-"], input);
  }

  /** Adds NetworkPolicies of no segment: more than the operator can have listed when it takes the lease. */
  async crowd(namespace: string, count: number): Promise<void> {
    await this.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const names = Array.from({ length: count }, (_, index) => `crowd-${index}`).values();
    const path = collectionPath(NETWORK_POLICIES, namespace);
    await Promise.all(Array.from({ length: 16 }, async () => {
      for (const name of names) {
        const body = {
          apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: { name }, spec: { podSelector: {} },
        };
        await this.client.request({ method: "POST", path, body });
      }
    }));
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return done(this.plane, args);
  }

  async policy(name: string): Promise<ShownPolicy> {
    return await this.client.request({ method: "GET", path: objectPath(SEGMENT_POLICIES, { name }) }) as ShownPolicy;
  }

  /** Of a namespace, by name. */
  async networkPolicies(namespace: string): Promise<readonly ShownNetworkPolicy[]> {
    const list = await this.client.request({ method: "GET", path: collectionPath(NETWORK_POLICIES, namespace) });
    return (list as { readonly items: readonly ShownNetworkPolicy[] }).items;
  }

  async networkPolicy(namespace: string, name: string): Promise<ShownNetworkPolicy | undefined> {
    const path = objectPath(NETWORK_POLICIES, { namespace, name });
    try {
      return await this.client.request({ method: "GET", path }) as ShownNetworkPolicy;
    } catch (error) {
      if (hasStatus(error, 404)) return undefined;
      throw error;
    }
  }

  /** Events about a SegmentPolicy. */
  async events(policy: string): Promise<readonly ShownEvent[]> {
    const list = await this.client.request({ method: "GET", path: collectionPath(EVENTS, "default") });
    const { items } = list as { readonly items: readonly ShownEvent[] };
    return items.filter(({ regarding }) => regarding.name === policy);
  }

  /** Waits until the operator says of the policy's present generation that `type` is `status`. */
  until(name: string, type: string, status: string, timeoutMs = 10_000): Promise<ShownPolicy> {
    const wanted = ({ conditions = [] }: ShownStatus) =>
      conditions.some((condition) => condition.type === type && condition.status === status);
    return this.untilShown(name, `${type}=${status}`, wanted, timeoutMs);
  }

  /** Waits until the status, of the policy's present generation, is as `wanted` says. */
  untilShown(
    name: string, what: string, wanted: (status: ShownStatus) => boolean, timeoutMs = 10_000,
  ): Promise<ShownPolicy> {
    return waitFor(`SegmentPolicy ${name}: ${what}`, async () => {
      const policy = await this.policy(name);
      if (policy.status.observedGeneration === policy.metadata.generation && wanted(policy.status)) return policy;
      throw new Error(JSON.stringify(policy.status));
    }, { timeoutMs });
  }

  /** Waits until `namespace` holds exactly the NetworkPolicies called `names`. */
  async untilNamed(namespace: string, names: readonly string[], timeoutMs = 10_000): Promise<void> {
    const wanted = names.toSorted().join(" ");
    await waitFor(`${namespace} holds [${wanted}]`, async () => {
      const found = (await this.networkPolicies(namespace)).map(({ metadata }) => metadata.name).toSorted().join(" ");
      if (found === wanted) return true;
      throw new Error(`it holds [${found}]`);
    }, { timeoutMs });
  }
}

/** Long enough for an operator that wants to write to have done so. */
export async function calm(ms = 1_500): Promise<void> {
  await sleep(ms);
}

async function done(plane: ControlPlane, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await plane.kubectl(args, input === undefined ? {} : { input });
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: exit code ${code}: ${stderr.trim()}`);
  return stdout;
}
