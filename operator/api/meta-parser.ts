import type { LabelRequirement, LabelSelector } from "./label-selector.ts";
import type { ObjectMeta, OwnerReference } from "./meta.ts";
import type { Reader } from "./reader.ts";

/** `object.metadata`. @throws ReadError */
export function readMeta(object: Reader): ObjectMeta {
  const meta = object.at("metadata");
  return {
    name: meta.at("name").text(),
    namespace: meta.at("namespace").or((reader) => reader.text(), ""),
    uid: meta.at("uid").or((reader) => reader.text(), ""),
    resourceVersion: meta.at("resourceVersion").or((reader) => reader.text(), ""),
    generation: meta.at("generation").or((reader) => reader.integer(), 0),
    labels: meta.at("labels").or((reader) => reader.texts(), {}),
    deleting: meta.at("deletionTimestamp").present,
    ownerReferences: meta.at("ownerReferences").or((reader) => reader.each(readOwner), []),
    managers: [...new Set(meta.at("managedFields").or((reader) => reader.each(readManager), []))],
  };
}

function readOwner(owner: Reader): OwnerReference {
  return {
    apiVersion: owner.at("apiVersion").text(),
    kind: owner.at("kind").text(),
    name: owner.at("name").text(),
    uid: owner.at("uid").text(),
    controller: owner.at("controller").or((reader) => reader.flag(), false),
  };
}

function readManager(entry: Reader): string {
  return entry.at("manager").or((reader) => reader.text(), "");
}

/**
 * A LabelSelector. @throws ReadError, also for a field that LabelSelectors do not have: half a selector selects too
 * much.
 */
export function readSelector(selector: Reader): LabelSelector {
  selector.onlyKeys(["matchLabels", "matchExpressions"]);
  const labels = selector.at("matchLabels");
  const expressions = selector.at("matchExpressions");
  return {
    ...(labels.present && { matchLabels: labels.texts() }),
    ...(expressions.present && { matchExpressions: expressions.each(readRequirement) }),
  };
}

function readRequirement(requirement: Reader): LabelRequirement {
  requirement.onlyKeys(["key", "operator", "values"]);
  const key = requirement.at("key").text();
  const operator = requirement.at("operator").oneOf(["In", "NotIn", "Exists", "DoesNotExist"]);
  const values = requirement.at("values").or((reader) => reader.list().map((item) => item.text()), []);
  const wantsValues = operator === "In" || operator === "NotIn";
  if (wantsValues !== values.length > 0) {
    throw requirement.at("values").wrong(wantsValues ? `a list of values for ${operator}` : `absent for ${operator}`);
  }
  return wantsValues ? { key, operator, values } : { key, operator };
}
