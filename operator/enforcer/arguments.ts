import { parseArgs } from "node:util";
import type { ApiServer } from "./segment-node-writer.ts";

/** How an enforcer is started. */
export interface EnforcerArguments {
  readonly node: string;
  readonly operator: { readonly host: string; readonly port: number; readonly name: string };
  readonly caFile: string;
  readonly tokenFile: string;
  /** Where the disk copy is kept; empty = none is. */
  readonly stateDirectory: string;
  readonly probes: { readonly host: string; readonly port: number };
  /** The port of the metrics, on all addresses; 0 = none. */
  readonly metricsPort: number;
  readonly api: ApiServer;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** @throws Error with a sentence that says which argument is missing or wrong. */
export function readArguments(argv: readonly string[], env: Readonly<NodeJS.ProcessEnv>): EnforcerArguments {
  const { values } = parseArgs({
    args: [...argv],
    strict: true,
    options: {
      node: { type: "string", default: env["NODE_NAME"] ?? "" },
      operator: { type: "string", default: "" },
      "operator-name": { type: "string", default: "tierwall-operator.tierwall-system.svc" },
      "ca-file": { type: "string", default: "/var/run/tierwall/ca/ca.crt" },
      "token-file": { type: "string", default: "/var/run/tierwall/token/token" },
      "state-directory": { type: "string", default: "" },
      "probe-address": { type: "string", default: "127.0.0.1:9474" },
      "metrics-port": { type: "string", default: "0" },
      "api-server": { type: "string", default: apiServer(env) },
      "api-ca-file": { type: "string", default: `${SERVICE_ACCOUNT}/ca.crt` },
      "api-token-file": { type: "string", default: `${SERVICE_ACCOUNT}/token` },
    },
  });
  if (values.node === "") throw new Error("--node is missing, and so is NODE_NAME in the environment");
  if (values["api-server"] === "") throw new Error("--api-server is missing, and this is no pod of a cluster");
  return {
    node: values.node,
    operator: { ...address("--operator", values.operator), name: values["operator-name"] },
    caFile: values["ca-file"],
    tokenFile: values["token-file"],
    stateDirectory: values["state-directory"],
    probes: address("--probe-address", values["probe-address"]),
    metricsPort: port("--metrics-port", values["metrics-port"]),
    api: { server: values["api-server"], caFile: values["api-ca-file"], tokenFile: values["api-token-file"] },
  };
}

/** How `cleanup` is started. @throws Error with a sentence that says which argument is wrong */
export function readCleanupArguments(argv: readonly string[]): Pick<EnforcerArguments, "stateDirectory"> {
  const options = { "state-directory": { type: "string", default: "/var/lib/tierwall" } } as const;
  const { values } = parseArgs({ args: [...argv], strict: true, options });
  return { stateDirectory: values["state-directory"] };
}

/** Kubernetes tells every pod, those on the host network too, where its API server is. */
function apiServer(env: Readonly<NodeJS.ProcessEnv>): string {
  const host = env["KUBERNETES_SERVICE_HOST"];
  if (host === undefined) return "";
  return `https://${host.includes(":") ? `[${host}]` : host}:${env["KUBERNETES_SERVICE_PORT"] ?? "443"}`;
}

function port(name: string, text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) throw new Error(`${name} must be a port or 0, not "${text}"`);
  return Number(text);
}

/** `10.96.0.7:8443`, `[fd00::7]:8443` */
function address(name: string, text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] = text.match(/^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) throw new Error(`${name} must be <host>:<port>, not "${text}"`);
  return { host, port: Number(port) };
}
