import type { KeyPair } from "./authority.ts";

/** What a client shows to the API server. */
export type Credential = { readonly keyPair: KeyPair } | { readonly token: string };

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Text of a kubeconfig with everything inline; JSON, which is YAML too. */
export function kubeconfig(url: string, certificateAuthority: string, credential: Credential): string {
  const user = "token" in credential ? { token: credential.token } : {
    "client-certificate-data": base64(credential.keyPair.certificate),
    "client-key-data": base64(credential.keyPair.key),
  };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{
      name: "lab", cluster: { server: url, "certificate-authority-data": base64(certificateAuthority) },
    }],
    users: [{ name: "user", user }],
    contexts: [{ name: "lab", context: { cluster: "lab", user: "user" } }],
    "current-context": "lab",
  }, undefined, 2);
}
