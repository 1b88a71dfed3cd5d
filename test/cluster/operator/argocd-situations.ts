import { readFile, writeFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";

import { parse, stringify } from "yaml";

import { waitFor } from "../../lab/wait.ts";
import type { Installation } from "./installation.ts";
import type { ShownPolicy } from "./status-contract.ts";

const FOLDER = new URL("../../../config/argocd/testdata/", import.meta.url);
const REWRITE = process.env["TIERWALL_REWRITE_GOLDEN"] !== undefined;
/** Another one in each cluster. */
const OF_A_CLUSTER = new Set([
  "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "lastTransitionTime", "managedFields",
]);

/**
 * Waits until the API server shows of a policy what a file of Argo CD's test data holds, but for times and ids.
 * @param ready the reason of Ready that it is known by when the file is to be written anew
 * @returns the policy as it was shown then
 */
export async function untilAsInFile(
  installation: Installation, name: string, file: string, ready: string | undefined,
): Promise<ShownPolicy> {
  if (REWRITE) await write(installation, name, file, ready);
  const wanted = comparable(parse(await readFile(new URL(file, FOLDER), "utf8")));
  return await waitFor(`SegmentPolicy ${name} is as in ${file}`, async () => {
    const policy = await installation.policy(name);
    const shown = comparable(policy);
    if (isDeepStrictEqual(shown, wanted)) return policy;
    throw new Error(`TIERWALL_REWRITE_GOLDEN=1 writes it anew; shown is ${JSON.stringify(shown)}`);
  }, { timeoutMs: 20_000 });
}

async function write(
  installation: Installation, name: string, file: string, ready: string | undefined,
): Promise<void> {
  const policy = await waitFor(`SegmentPolicy ${name} is ready for ${ready}`, async () => {
    const shown = await installation.policy(name);
    const condition = shown.status.conditions?.find(({ type }) => type === "Ready");
    if (condition?.reason === ready) return shown;
    throw new Error(JSON.stringify(shown.status));
  }, { timeoutMs: 20_000 });
  const { managedFields: _, ...metadata } = policy.metadata as ShownPolicy["metadata"] & { managedFields?: unknown };
  // Argo CD reads YAML 1.1, where a bare time is no text.
  const text = stringify({ ...policy, metadata }, { version: "1.1", lineWidth: 0, indentSeq: false });
  await writeFile(new URL(file, FOLDER), text);
}

/** An object without what differs from cluster to cluster. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).filter(([key]) => !OF_A_CLUSTER.has(key));
  return Object.fromEntries(members.map(([key, member]) => [key, comparable(member)]));
}
