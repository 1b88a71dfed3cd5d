import { readFileSync } from "node:fs";

/**
 * How many packets the machine has lost since it runs because a processor did not get around to them: whatever network
 * namespace they were in, they had yet to come to any rule. The second number of each processor in softnet_stat.
 */
export function lostInQueues(): number {
  const processors = readFileSync("/proc/net/softnet_stat", "latin1").trimEnd().split("\n");
  return processors.reduce((sum, line) => sum + Number.parseInt(line.split(" ")[1] ?? "0", 16), 0);
}
