import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { NetfilterError, NoAnswer } from "./netfilter.ts";
import type { Shells } from "./shells.ts";

/** Kernel tools answer in milliseconds; one that waits longer hangs, or somebody holds a lock for ever. */
const TIMEOUT_MS = 20_000;
/** Another program holds the lock of the legacy tools, longer than they were told to wait. */
const LOCKED = /holding the xtables lock/;
/** What a shell says of a program that is not there, one that it cannot start, and one that was killed (more by the signal). */
const NOT_FOUND = 127;
const NOT_STARTED = 126;
const KILLED = 128;

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
 * Asks a tool that reads nothing. An end by the signal is waited for: nothing of it happens any more afterwards.
 * @throws NetfilterError with the tool's own words if it is missing or fails; NoAnswer if it hangs or is killed
 */
export async function askTool(
  shells: Shells,
  tool: Tool,
  args: readonly string[],
  signal: AbortSignal,
): Promise<ToolOutput> {
  const { program } = tool;
  const ran = await shells.run([program, ...args].map(shellWord).join(" "), signal, TIMEOUT_MS);
  const output = { stdout: ran.stdout.toString(), stderr: ran.stderr.toString() };
  const { status } = ran;
  if (status === NOT_FOUND && output.stderr.trimEnd().endsWith("not found")) throw absent(tool);
  if (status === NOT_STARTED || status > KILLED) throw new NoAnswer(failure(tool, args, output.stderr, status));
  return ended(tool, args, output, status);
}

/** A word that a shell takes as it is, whatever is in it. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * Runs a tool to its end, from this process: for what it is to read.
 * @throws NetfilterError with the tool's own words if it is missing or fails; NoAnswer if it hangs or is killed
 */
export async function runTool(
  tool: Tool,
  args: readonly string[],
  input: string,
  signal: AbortSignal,
): Promise<ToolOutput> {
  const { program } = tool;
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
  if (status !== 0 && limit.aborted) throw new NoAnswer(`${command} did not end within ${TIMEOUT_MS / 1000} s`);
  if (status instanceof Error) {
    if ("code" in status && status.code === "ENOENT") throw absent(tool, status);
    throw new NoAnswer(`${command}: ${status.message}`, { cause: status });
  }
  return ended(tool, args, { stdout, stderr }, status);
}

function ended(tool: Tool, args: readonly string[], output: ToolOutput, status: number): ToolOutput {
  if (status === 0) return output;
  const message = failure(tool, args, output.stderr, status);
  throw LOCKED.test(output.stderr) ? new NoAnswer(message) : new NetfilterError("ApplyFailed", message);
}

function failure({ program }: Tool, args: readonly string[], stderr: string, status: number): string {
  return `${[program, ...args].join(" ")}: ${stderr.trim() || `exit status ${status}`}`;
}

function absent({ program, missing }: Tool, cause?: Error): NetfilterError {
  return new NetfilterError(missing, `${program} is not installed in the enforcer's image`, cause && { cause });
}

/** What came before a killed tool's end; the kill itself is told by its status. */
function read(stream: Readable): Promise<string> {
  return text(stream).catch(() => "");
}
