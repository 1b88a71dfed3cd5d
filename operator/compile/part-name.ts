import { createHash } from "node:crypto";

import { canonicalSelector } from "../api/label-selector.ts";
import type { PartIdentity } from "./part.ts";

/** Object names are DNS subdomains; 63 characters also fit where a name must be a label. */
const LONGEST = 63;
const HASH_DIGITS = 8;

/**
 * A readable name with a hash of what the part is, `shop-db-1f0c9a2e`. The selector is in the hash: a changed one makes
 * a new object beside the old, which goes last, so that no pod is for a moment selected by neither.
 */
export function partName({ policy, kind, tier, podSelector }: PartIdentity): string {
  // A tier may be called "default": the kind keeps the two apart.
  const identity = JSON.stringify([policy, kind, tier ?? "", canonicalSelector(podSelector)]);
  const hash = createHash("sha256").update(identity).digest("hex").slice(0, HASH_DIGITS);
  const readable = `${policy}-${tier ?? kind}`.slice(0, LONGEST - HASH_DIGITS - 1);
  // A cut may fall behind a dot or dash, and `.-` is no valid name.
  return `${readable.replace(/[.-]+$/, "")}-${hash}`;
}
