import assert from "node:assert/strict";

import { parse } from "yaml";

import { readSegmentPolicy } from "../../../operator/api/segment-policy-parser.ts";
import type { SegmentPolicySpec } from "../../../operator/api/segment-policy.ts";

/** A spec as it is written. @throws AssertionError with the parser's words if it is not accepted */
export function specOf(yaml: string): SegmentPolicySpec {
  const { verdict } = readSegmentPolicy({ metadata: { name: "shop" }, spec: parse(yaml) as unknown });
  assert.ok(verdict.accepted, verdict.accepted ? "" : verdict.message);
  return verdict.spec;
}
