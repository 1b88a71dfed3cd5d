import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { errorMessage } from "../api/error-message.ts";

/** A user can mend it; the message is one line and says what was looked at. */
export class ConfigError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message.replaceAll(/\s*\n\s*/g, " "), options);
    this.name = "ConfigError";
  }
}

const SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/**
 * The first of: `path` (from `--kubeconfig`), `$KUBECONFIG`, the pod's ServiceAccount, `~/.kube/config`. One that was
 * named and cannot be used is an error, never passed over.
 * @throws ConfigError
 */
export function loadKubeConfig(
  path: string | undefined, env: Readonly<Record<string, string | undefined>>,
): KubeConfig {
  const listed = (env["KUBECONFIG"] ?? "").split(delimiter).filter((part) => part !== "");
  const named = path !== undefined ? [path] : listed;
  if (named.length > 0) return fromFiles(named);
  if (env["KUBERNETES_SERVICE_HOST"] !== undefined && existsSync(SERVICE_ACCOUNT_TOKEN)) {
    const config = new KubeConfig();
    config.loadFromCluster();
    return config;
  }
  const own = join(env["HOME"] ?? homedir(), ".kube", "config");
  if (existsSync(own)) return fromFiles([own]);
  throw new ConfigError(`no kubeconfig: not in a pod, $KUBECONFIG is not set and ${own} does not exist`);
}

function fromFiles(paths: readonly string[]): KubeConfig {
  const merged = new KubeConfig();
  for (const path of paths) {
    if (!existsSync(path)) throw new ConfigError(`kubeconfig ${path} does not exist`);
    const config = new KubeConfig();
    try {
      config.loadFromFile(path);
    } catch (cause) {
      const why = errorMessage(cause);
      throw new ConfigError(`kubeconfig ${path} cannot be read: ${why}`, { cause });
    }
    merged.mergeConfig(config, merged.currentContext !== undefined && merged.currentContext !== "");
  }
  if (merged.getCurrentCluster()) return merged;
  throw new ConfigError(`kubeconfig ${paths.join(delimiter)}: its current context names no cluster`);
}
