import { changesBetween } from "../../api/member-set.ts";
import type { AddressSet } from "../layout/ruleset.ts";
import type { KernelSet } from "./kernel-state.ts";

/** The kernel's default of 65,536 is less than a large cluster has pods. */
const MOST_MEMBERS = 1_048_576;

/** `ipset restore` input that makes the set, without members. */
export function createText({ name, type, family }: AddressSet): string {
  return `create ${name} ${type} family ${family === "ipv4" ? "inet" : "inet6"} maxelem ${MOST_MEMBERS}\n`;
}

/** `ipset restore` input for the members that the kernel does not have yet. */
export function addsText({ name, members }: AddressSet, current: KernelSet | undefined): string {
  return lines("add", name, current === undefined ? members : changesBetween(current.members, members).added);
}

/** `ipset restore` input for the members that the kernel has too many. */
export function drainText({ name, members }: AddressSet, current: KernelSet | undefined): string {
  if (current === undefined) return "";
  return lines("del", name, changesBetween(current.members, members).removed.map(withoutFlag));
}

function lines(verb: "add" | "del", name: string, members: Iterable<string>): string {
  return [...members].toSorted().map((member) => `${verb} ${name} ${member}\n`).join("");
}

/** A member is deleted by its network alone. */
function withoutFlag(member: string): string {
  return member.replace(" nomatch", "");
}
