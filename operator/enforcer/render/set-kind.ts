import type { Family } from "../layout/family.ts";
import type { SetName } from "../layout/rule.ts";
import type { SetType } from "../layout/ruleset.ts";
import { createText } from "./set-text.ts";

/** Stands for the type of a set that is the other family's: all that matters of it is that its name is taken. */
export const OTHER_FAMILY = "of the other family";

const TYPES: readonly SetType[] = ["hash:ip", "hash:ip,port", "hash:net"];

/**
 * The type of a set by the line of `ipset save` that makes it. One that is not as we would make it has all that is said
 * of it as its type, and so none that we want: somebody else has made it, or an older version of ours.
 */
export function setKind(line: string, family: Family): string {
  const [create = "", name = "", type = "", ...options] = line.replaceAll(CHANGING, "").split(" ");
  const sixth = options[options.indexOf("family") + 1] === "inet6";
  // Sets of no family (of ports alone, say) have to be swept up by one of the two.
  if (sixth !== (family === "ipv6")) return OTHER_FAMILY;
  const known = TYPES.find((each) => each === type);
  if (known === undefined) return [type, ...options].join(" ");
  const ours = createText({ name: name as SetName, type: known, family, members: new Set() });
  return ours === `${[create, name, type, ...options].join(" ")}\n` ? type : [type, ...options].join(" ");
}

/** The kernel chooses them, or they grow with the set. */
const CHANGING = / (?:hashsize|bucketsize|initval) \S+/g;
