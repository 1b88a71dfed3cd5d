import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { NetfilterError, NoAnswer } from "./netfilter.ts";

/** Kernel tools answer in milliseconds; one that waits longer hangs, or somebody holds a lock for ever. */
const TIMEOUT_MS = 20_000;
/** Another program holds the lock of the legacy tools, longer than they were told to wait. */
const LOCKED = /holding the xtables lock/;

/** A program of the iptables, ipset or conntrack packages. */
export interface Tool {
  readonly program: string;
  /** Reason of the error when the program is not there. */
  readonly missing: string;
}

export interface ToolOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a tool to its end.
 * @throws NetfilterError with the tool's own words if it is missing or fails; NoAnswer if it hangs or is killed
 */
export async function runTool(
  { program, missing }: Tool,
  args: readonly string[],
  input: string,
  signal: AbortSignal,
): Promise<ToolOutput> {
  const command = [program, ...args].join(" ");
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const stop = AbortSignal.any([signal, limit]);
  const child = spawn(program, args, { stdio: "pipe", signal: stop, killSignal: "SIGKILL" });
  // A tool that stops reading shows in its exit status; the broken pipe itself says nothing more.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [status, stdout, stderr] = await Promise.all([
    new Promise<number | Error>((resolve) => {
      child.once("error", resolve);
      child.once("close", (code, killedBy) => resolve(code ?? new Error(`killed by ${killedBy ?? "a signal"}`)));
    }),
    read(child.stdout),
    read(child.stderr),
  ]);
  if (status === 0) return { stdout, stderr };
  if (limit.aborted) throw new NoAnswer(`${command} did not end within ${TIMEOUT_MS / 1000} s`);
  if (status instanceof Error) {
    const absent = "code" in status && status.code === "ENOENT";
    if (!absent) throw new NoAnswer(`${command}: ${status.message}`, { cause: status });
    throw new NetfilterError(missing, `${program} is not installed in the enforcer's image`, { cause: status });
  }
  const message = `${command}: ${stderr.trim() || `exit status ${status}`}`;
  throw LOCKED.test(stderr) ? new NoAnswer(message) : new NetfilterError("ApplyFailed", message);
}

/** What came before a killed tool's end; the kill itself is told by its status. */
function read(stream: Readable): Promise<string> {
  return text(stream).catch(() => "");
}
