import { readCondition } from "./condition.ts";
import { Reader } from "./reader.ts";
import type { PolicyConfirmation, SegmentNode } from "./segment-node.ts";

/** What the operator reads of a SegmentNode. */
export type SegmentNodeReport = Pick<SegmentNode, "name" | "uid"> & {
  readonly status: Pick<SegmentNode["status"], "conditions" | "policies">;
};

/** @throws ReadError */
export function readSegmentNode(object: unknown): SegmentNodeReport {
  const root = new Reader(object);
  const meta = root.at("metadata");
  const status = root.at("status");
  return {
    name: meta.at("name").text(),
    uid: meta.at("uid").text(),
    status: {
      conditions: status.or((reader) => reader.at("conditions").or((list) => list.each(readCondition), []), []),
      policies: status.or((reader) => reader.at("policies").or((list) => list.each(readConfirmation), []), []),
    },
  };
}

function readConfirmation(entry: Reader): PolicyConfirmation {
  return {
    name: entry.at("name").text(),
    generation: entry.at("generation").integer(),
    revision: entry.at("revision").or((reader) => reader.text(), ""),
    state: entry.at("state").oneOf(["Enforced", "Failed"]),
    message: entry.at("message").or((reader) => reader.text(), ""),
  };
}
