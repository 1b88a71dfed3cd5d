import type { ApiClient } from "../../../operator/kube/client.ts";
import { SYSTEM } from "./kustomization.ts";

/** One request to the API server, as authorization sees it. */
export interface Call {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `segmentnodes/status`. */
  readonly resource: string;
  /** Empty = all namespaces, or a kind without. */
  readonly namespace: string;
  /** Empty where the request's path has none: list, watch and plain creation. */
  readonly name: string;
}

const LINE = /^([\w*]+) ([a-z*]+)(?:\.([a-z0-9.]+))?(?:\/([a-z]+))?(?: (?:([a-z0-9-]+)\/)?([a-z0-9.-]*))?$/;

/** Reads `<verb> <plural>[.<group>][/<subresource>] [<namespace>/][<name>]`, as `get secrets shop/password`. */
export function callOf(line: string): Call {
  const parts = LINE.exec(line);
  if (parts === null) throw new Error(`not a call: ${line}`);
  const [, verb = "", plural = "", group = "", subresource, namespace = "", name = ""] = parts;
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  return { verb, group, resource, namespace, name };
}

/** Whether the API server would let a ServiceAccount of `tierwall-system` make the call. */
export async function mayCall(client: ApiClient, account: string, line: string): Promise<boolean> {
  const { verb, group, resource, namespace, name } = callOf(line);
  const [plural, subresource] = resource.split("/");
  const review = await client.request({
    method: "POST",
    path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    body: {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: `system:serviceaccount:${SYSTEM}:${account}`,
        groups: ["system:serviceaccounts", `system:serviceaccounts:${SYSTEM}`, "system:authenticated"],
        resourceAttributes: { verb, group, resource: plural, subresource, namespace, name },
      },
    },
  });
  return (review as { readonly status: { readonly allowed: boolean } }).status.allowed;
}
