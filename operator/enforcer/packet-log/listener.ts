import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Hands on what the kernel logs, a line for each packet, until the signal is aborted or it fails. @throws Error */
export type Listen = (onLine: (line: string) => void, signal: AbortSignal) => Promise<void>;

const CONFIGURATION = fileURLToPath(new URL("ulogd.conf", import.meta.url));
/**
 * ulogd opens its outputs by name, which a socket, as Node makes them, does not have: a pipe does. None of them outlives
 * the one before it, also when that is killed.
 */
const SCRIPT = 'setpriv --pdeathsig KILL ulogd -c "$0" 2>&1 | cat';

/** By ulogd, which needs no more than CAP_NET_ADMIN. */
export const listen: Listen = async (onLine, signal) => {
  if (signal.aborted) return;
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "sh", "-c", SCRIPT, CONFIGURATION], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve());
  });
  const stop = () => child.kill("SIGKILL");
  signal.addEventListener("abort", stop, { once: true });
  try {
    let said = "";
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("{")) onLine(line);
      else said = line;
    });
    await ended;
    if (!signal.aborted) throw new Error(`ulogd has ended: ${said}`);
  } finally {
    signal.removeEventListener("abort", stop);
  }
};
