import type { Family } from "../layout/family.ts";
import type { Backend } from "./netfilter.ts";

/** The programs that save and restore a family's rules in a backend. */
export function iptablesProgram(family: Family, backend: Backend, verb: "save" | "restore"): string {
  return `${family === "ipv4" ? "iptables" : "ip6tables"}-${backend}-${verb}`;
}

/**
 * Leaves alone what is not named, and waits so many seconds for the lock of others: kube-proxy holds it for up to
 * seconds on a large cluster.
 */
export const RESTORE: readonly string[] = ["--noflush", "-w", "5"];
