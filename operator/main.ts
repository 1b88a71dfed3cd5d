import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { randomUUID } from "node:crypto";

import { Command } from "commander";
import { parse } from "yaml";

import { errorText } from "./api/error-message.ts";
import { Reader } from "./api/reader.ts";
import { readSettings, type Settings } from "./api/settings.ts";
import { loadKubeConfig } from "./kube/config.ts";
import { jsonLogger } from "./telemetry/logger.ts";
import { TierwallOperator } from "./tierwall-operator.ts";
import { VERSION } from "./version.ts";

interface Options {
  readonly config?: string;
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly advertise?: string;
  readonly logLevel: string;
}

const program = new Command("tierwall-operator")
  .description("Turns SegmentPolicies into NetworkPolicies and keeps every node's enforcer informed")
  .version(VERSION)
  .option("--config <file>", "settings (YAML); without it the defaults hold")
  .option("--kubeconfig <file>", "instead of $KUBECONFIG, the pod's ServiceAccount or ~/.kube/config")
  .option(
    "--namespace <name>",
    "where the operator and its enforcers live",
    process.env["POD_NAMESPACE"] ?? "tierwall-system",
  )
  .option("--advertise <host:port>", "what enforcers dial, when the operator runs outside the cluster")
  .option("--log-level <level>", "error, warn, info or debug", "info")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse();

const options = program.opts<Options>();

/** For what a person has to mend on the command line: one line, and the exit code that says so. */
function refuse(error: unknown): never {
  process.stderr.write(`tierwall-operator: ${errorText(error).replaceAll(/\s*\n\s*/g, " ")}\n`);
  process.exit(2);
}

async function loadSettings(path: string | undefined): Promise<Settings> {
  if (path === undefined) return readSettings(new Reader(undefined));
  try {
    const content: unknown = parse(await readFile(path, "utf8"));
    return readSettings(new Reader(content));
  } catch (error) {
    return refuse(new Error(`settings ${path}`, { cause: error }));
  }
}

function createOperator(settings: Settings): TierwallOperator {
  try {
    return new TierwallOperator({
      config: loadKubeConfig(options.kubeconfig, process.env),
      settings,
      namespace: options.namespace,
      identity: process.env["POD_NAME"] ?? `${hostname()}-${randomUUID().slice(0, 8)}`,
      version: VERSION,
      advertise: options.advertise,
      log: jsonLogger(options.logLevel),
    });
  } catch (error) {
    return refuse(error);
  }
}

const operator = createOperator(await loadSettings(options.config));
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => operator.stop());
await operator.start();
await operator.stopped();
process.exit(0);
