import { createHash } from "node:crypto";

import { canonicalJson } from "../api/canonical-json.ts";
import { FIELD_MANAGER, type OwnerReference } from "../api/meta.ts";
import { Reader } from "../api/reader.ts";
import type { Settings } from "../api/settings.ts";
import { applyPatch, deleteObject, find, type ApiObject } from "../kube/apply.ts";
import type { ApiClient } from "../kube/client.ts";
import type { EventRecorder } from "../kube/events.ts";
import { DAEMON_SETS, DEPLOYMENTS, SERVICES, type Resource } from "../kube/resource.ts";
import { enforcerDaemonSet, type EnforcerPlacement } from "./enforcer-daemonset.ts";
import type { EnforcementMode } from "./enforcement-mode.ts";
import type { EnforcerRetirement } from "./enforcer-retirement.ts";

export const OPERATOR_NAME = "tierwall-operator";
/** Of the wish that a DaemonSet was written from: equal means there is nothing to write. */
export const WISH_ANNOTATION = "tierwall.io/wish";

/** What is kept of a DaemonSet: enough to see another CNI's, and whether ours is as we wrote it. */
export interface DaemonSetSummary {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly wish: string;
}

/** @throws ReadError */
export function readDaemonSet(object: unknown): DaemonSetSummary {
  const meta = new Reader(object).at("metadata");
  const annotations = meta.at("annotations");
  return {
    namespace: meta.at("namespace").text(),
    name: meta.at("name").text(),
    uid: meta.at("uid").text(),
    generation: meta.at("generation").or((reader) => reader.integer(), 0),
    wish: annotations.present ? annotations.at(WISH_ANNOTATION).or((reader) => reader.text(), "") : "",
  };
}

/** The enforcers cannot be placed: something of the operator's own installation is missing. */
export class PlacementError extends Error {}

export interface EnforcerReconcilerOptions {
  readonly client: ApiClient;
  readonly settings: Settings;
  readonly namespace: string;
  readonly mode: () => EnforcementMode;
  readonly current: () => DaemonSetSummary | undefined;
  readonly isLeader: () => boolean;
  readonly retirement: Pick<EnforcerRetirement, "awaited" | "reset">;
  readonly events: Pick<EventRecorder, "record">;
  /** `<host>:<port>` for enforcers to dial, instead of the Service's address: for an operator outside the cluster. */
  readonly advertise: string | undefined;
}

/** The DaemonSet is compared with the operator's own Deployment this often. */
const RECHECK_MS = 60_000;
/** Somebody waits for the enforcers to be gone. */
const RETIREMENT_CHECK_MS = 500;
/** An Event's text is short. */
const MOST_NAMED = 20;

/**
 * Keeps the enforcers' DaemonSet as the settings want it: there when enforcement is ours. When it is not any more, the
 * stream tells the enforcers to clear their nodes, and the DaemonSet goes when they have.
 */
export class EnforcerReconciler {
  readonly #options: EnforcerReconcilerOptions;
  /** The DaemonSet's generation after our last write: a later one is somebody's edit. */
  #written: number | undefined;

  constructor(options: EnforcerReconcilerOptions) {
    this.#options = options;
  }

  /** @returns milliseconds after which to look again. @throws ApiError, PlacementError */
  async reconcile(): Promise<number> {
    const { mode, current, isLeader, retirement } = this.#options;
    const found = current();
    if (isLeader() && !mode().managed && found !== undefined) return await this.#retire(found);
    retirement.reset();
    if (isLeader() && mode().managed) await this.#place(found);
    return RECHECK_MS;
  }

  async #retire({ namespace, name, uid }: DaemonSetSummary): Promise<number> {
    const { client, retirement, events } = this.#options;
    const { nodes, overdue } = retirement.awaited();
    if (nodes.length > 0 && !overdue) return RETIREMENT_CHECK_MS;
    const regarding = { apiVersion: "apps/v1", kind: "DaemonSet", namespace, name, uid };
    if (nodes.length > 0) {
      const message =
        `the enforcers are removed, but rules may be left on ${listed(nodes)}: ` +
        "run the enforcer's cleanup there, or restart these nodes";
      events.record({ regarding, type: "Warning", reason: "NodesNotCleared", message });
    } else {
      const message = "every enforcer has cleared its node: they are removed";
      events.record({ regarding, type: "Normal", reason: "NodesCleared", message });
    }
    await deleteObject(client, DAEMON_SETS, { namespace, name }, uid);
    return RECHECK_MS;
  }

  async #place(found: DaemonSetSummary | undefined): Promise<void> {
    const { client, settings } = this.#options;
    const manifest = enforcerDaemonSet(settings, await this.#placement());
    const wish = createHash("sha256").update(canonicalJson(manifest)).digest("hex").slice(0, 16);
    // A process that has not written yet does so once: what was edited while none led shows by nothing else.
    if (found?.wish === wish && found.generation === this.#written) return;
    const answer = await applyPatch(client, DAEMON_SETS, withWish(manifest, wish), {
      fieldManager: FIELD_MANAGER,
      force: true,
    });
    this.#written = readDaemonSet(answer).generation;
  }

  async #placement(): Promise<EnforcerPlacement> {
    const { settings, namespace, advertise } = this.#options;
    const deployment = await this.#own(DEPLOYMENTS);
    const container = deployment?.at("spec").at("template").at("spec").at("containers").list()[0];
    const image = settings.enforcerImage === "" ? container?.at("image").text() : settings.enforcerImage;
    if (image === undefined)
      throw new PlacementError(
        `Deployment ${namespace}/${OPERATOR_NAME} is not there to take the image from: set enforcerImage`,
      );
    return {
      namespace,
      image,
      imagePullPolicy: container?.at("imagePullPolicy").or((reader) => reader.text(), "IfNotPresent") ?? "IfNotPresent",
      operator: advertise ?? `${await this.#clusterIP()}:${settings.ports.stream}`,
      owner: deployment === undefined ? undefined : ownerReference(deployment),
    };
  }

  async #clusterIP(): Promise<string> {
    const { namespace } = this.#options;
    const service = await this.#own(SERVICES);
    const address =
      service
        ?.at("spec")
        .at("clusterIP")
        .or((reader) => reader.text(), "") ?? "";
    if (address === "" || address === "None")
      throw new PlacementError(`Service ${namespace}/${OPERATOR_NAME} has no cluster IP for the enforcers to dial`);
    return address;
  }

  async #own(resource: Resource): Promise<Reader | undefined> {
    const { client, namespace } = this.#options;
    const found = await find(client, resource, { namespace, name: OPERATOR_NAME });
    return found === undefined ? undefined : new Reader(found);
  }
}

function withWish(manifest: ApiObject, wish: string): ApiObject {
  return { ...manifest, metadata: { ...manifest.metadata, annotations: { [WISH_ANNOTATION]: wish } } };
}

function listed(names: readonly string[]): string {
  const more = names.length - MOST_NAMED;
  return `${names.slice(0, MOST_NAMED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function ownerReference(deployment: Reader): OwnerReference {
  const uid = deployment.at("metadata").at("uid").text();
  return { apiVersion: "apps/v1", kind: "Deployment", name: OPERATOR_NAME, uid, controller: true };
}
