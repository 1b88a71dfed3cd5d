import type { SpawnOptions } from "node:child_process";

export declare function runLong(
  what: string, command: string, args: readonly string[], options?: SpawnOptions,
): Promise<void>;
