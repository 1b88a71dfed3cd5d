import { createHash } from "node:crypto";
import type { Members } from "../../api/member-set.ts";
import type { Family } from "./family.ts";
import type { ChainName, Rule, SetName } from "./rule.ts";

/** All that a family's kernel tables should hold of ours. */
export interface Ruleset {
  readonly family: Family;
  /** By chain of the kernel: its first rules, which lead to ours. */
  readonly hooks: ReadonlyMap<HookPoint, readonly Rule[]>;
  readonly chains: ReadonlyMap<ChainName, readonly Rule[]>;
  readonly sets: ReadonlyMap<SetName, AddressSet>;
}

/** Chains of the kernel's filter table that may jump to ours. */
export type HookPoint = "FORWARD" | "INPUT";

export const HOOK_POINTS: readonly HookPoint[] = ["FORWARD", "INPUT"];

export interface AddressSet {
  readonly name: SetName;
  readonly type: SetType;
  readonly family: Family;
  /** As `ipset save` prints them: `10.1.2.3`, `10.1.2.3,tcp:80`, `10.0.0.0/8`, `10.1.0.0/16 nomatch`. */
  readonly members: Members;
}

export type SetType = "hash:ip" | "hash:ip,port" | "hash:net";

/** Every chain and set of ours begins so, and nothing of others. */
export const PREFIX = "TW-";

/**
 * A name by content, with `label` to tell kinds apart. The kernel allows 31 characters for a set, 28 for a chain.
 * Content-addressed parts are never rewritten in place: whoever wants other content refers to another name.
 */
export function contentName(label: string, content: unknown): string {
  const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  return `${PREFIX}${label}${digest.slice(0, 16)}`;
}
