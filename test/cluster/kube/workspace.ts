import { randomBytes } from "node:crypto";
import type { ApiClient } from "../../../operator/kube/client.ts";
import { create, type ApiObject } from "../../../operator/kube/apply.ts";
import { CONFIG_MAPS, NAMESPACES, objectPath } from "../../../operator/kube/resource.ts";

const FIELD_MANAGER = "cluster-test";

/** A namespace of one test, with ConfigMaps as the objects that are written quickly and mean nothing. */
export class Workspace {
  readonly client: ApiClient;
  readonly namespace: string;

  private constructor(client: ApiClient, namespace: string) {
    this.client = client;
    this.namespace = namespace;
  }

  static async create(client: ApiClient): Promise<Workspace> {
    const name = `kube-${randomBytes(4).toString("hex")}`;
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
    await create(client, NAMESPACES, namespace, { fieldManager: FIELD_MANAGER });
    return new Workspace(client, name);
  }

  /** @returns its uid */
  async add(name: string, value: string, labels: Readonly<Record<string, string>> = {}): Promise<string> {
    const object = this.#configMap(name, value, labels);
    return uidOf(await create(this.client, CONFIG_MAPS, object, { fieldManager: FIELD_MANAGER }));
  }

  async change(name: string, value: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    const path = objectPath(CONFIG_MAPS, { namespace: this.namespace, name });
    await this.client.request({ method: "PUT", path, body: this.#configMap(name, value, labels) });
  }

  async remove(name: string): Promise<void> {
    await this.client.request({ method: "DELETE", path: objectPath(CONFIG_MAPS, { namespace: this.namespace, name }) });
  }

  #configMap(name: string, value: string, labels: Readonly<Record<string, string>>): ApiObject {
    const object = {
      apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: this.namespace, name, labels }, data: { value },
    };
    return object;
  }
}

export function uidOf(object: unknown): string {
  const { metadata } = object as { readonly metadata: { readonly uid: string } };
  return metadata.uid;
}

/** The value of a ConfigMap that `Workspace` wrote. @throws TypeError if it has none, or `bad` */
export function valueOf(object: unknown): string {
  const { data } = object as { readonly data?: { readonly value?: string } };
  if (data?.value === undefined || data.value === "bad") throw new TypeError("data.value: bad");
  return data.value;
}
