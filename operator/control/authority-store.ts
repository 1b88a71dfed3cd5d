import { MANAGED_BY_LABEL } from "../api/meta.ts";
import { Reader } from "../api/reader.ts";
import { hasStatus } from "../kube/api-error.ts";
import { find } from "../kube/apply.ts";
import type { ApiClient } from "../kube/client.ts";
import { collectionPath, CONFIG_MAPS, objectPath, SECRETS, type ObjectName, type Resource } from "../kube/resource.ts";
import {
  bundleOf,
  createAuthority,
  rotateAuthority,
  rotationDue,
  type Authority,
  type KeyPair,
} from "../stream/certificates.ts";

/** Of the Secret with the CA's key, and of the ConfigMap with what enforcers trust. */
const NAME = "tierwall-ca";
/** Each means that another replica has just written. */
const ATTEMPTS = 5;

/**
 * The CA in the cluster, shared by all replicas. Whoever comes first creates or rotates it; who comes second is refused
 * by the API server (name or resource version) and takes what is there.
 */
export class AuthorityStore {
  readonly #client: Pick<ApiClient, "request">;
  readonly #namespace: string;
  readonly #now: () => Date;

  constructor(client: Pick<ApiClient, "request">, namespace: string, now: () => Date) {
    this.#client = client;
    this.#namespace = namespace;
    this.#now = now;
  }

  /** The CA in force, with its bundle published. Call it at start and then every hour. @throws ApiError, Unreachable */
  async refresh(): Promise<Authority> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      // Read before the Secret: a bundle made from an older Secret then cannot replace one made from a newer.
      const published = await this.#get(CONFIG_MAPS);
      const authority = await this.#authority();
      if (authority !== undefined && (await this.#publish(bundleOf(authority, this.#now()), published)))
        return authority;
    }
    throw new Error(`other replicas keep changing ${this.#namespace}/${NAME}`);
  }

  /** `undefined` = another replica was faster: look again. */
  async #authority(): Promise<Authority | undefined> {
    const found = await this.#get(SECRETS);
    if (found === undefined) {
      const created = await createAuthority(this.#now());
      return (await this.#write(SECRETS, secretOf(created), undefined)) ? created : undefined;
    }
    const authority = authorityOf(found.at("data"));
    if (!rotationDue(authority, this.#now())) return authority;
    const rotated = await rotateAuthority(authority, this.#now());
    return (await this.#write(SECRETS, secretOf(rotated), found)) ? rotated : undefined;
  }

  async #publish(bundle: string, published: Reader | undefined): Promise<boolean> {
    if (published?.at("data").maybe((data) => data.at("ca.crt").value) === bundle) return true;
    return await this.#write(CONFIG_MAPS, { kind: "ConfigMap", data: { "ca.crt": bundle } }, published);
  }

  async #get(resource: Resource): Promise<Reader | undefined> {
    const found = await find(this.#client, resource, this.#name);
    return found === undefined ? undefined : new Reader(found);
  }

  /** Creates the object, or replaces exactly what was seen of it. @returns false = it has changed meanwhile */
  async #write(
    resource: Resource,
    content: Readonly<Record<string, unknown>>,
    seen: Reader | undefined,
  ): Promise<boolean> {
    const resourceVersion = seen?.at("metadata").at("resourceVersion").text();
    const labels = { [MANAGED_BY_LABEL]: "tierwall" };
    const metadata = { ...this.#name, labels, ...(resourceVersion !== undefined && { resourceVersion }) };
    const body = { apiVersion: "v1", metadata, ...content };
    try {
      await this.#client.request(
        seen === undefined
          ? { method: "POST", path: collectionPath(resource, this.#namespace), body }
          : { method: "PUT", path: objectPath(resource, this.#name), body },
      );
      return true;
    } catch (error) {
      // 404: deleted since it was seen.
      if (hasStatus(error, 409) || hasStatus(error, 404)) return false;
      throw error;
    }
  }

  get #name(): ObjectName {
    return { name: NAME, namespace: this.#namespace };
  }
}

function secretOf({ current, previous }: Authority): Readonly<Record<string, unknown>> {
  const data = {
    "ca.crt": encode(current.certificate),
    "ca.key": encode(current.key),
    ...(previous && { "previous.crt": encode(previous.certificate), "previous.key": encode(previous.key) }),
  };
  return { kind: "Secret", type: "Opaque", data };
}

function authorityOf(data: Reader): Authority {
  const pair = (name: string): KeyPair => {
    return { certificate: decode(data.at(`${name}.crt`)), key: decode(data.at(`${name}.key`)) };
  };
  return { current: pair("ca"), ...(data.at("previous.crt").present && { previous: pair("previous") }) };
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}

function decode(text: Reader): string {
  return Buffer.from(text.text(), "base64").toString();
}
