import { spawn } from "node:child_process";

const secondsBetweenLines = 30;

/**
 * Runs a command that may take long: says what it is doing, then how long it has been at it. Its output is shown only
 * when it fails.
 */
export function runLong(what, command, args, options = {}) {
  const started = Date.now();
  const say = (line) => process.stderr.write(`set-up: ${line}\n`);
  say(what);
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let tail = "";
    const keep = (chunk) => { tail = (tail + chunk).slice(-4000); };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const elapsed = () => Math.round((Date.now() - started) / 1000);
    const ticker = setInterval(() => say(`… ${elapsed()} s`), secondsBetweenLines * 1000);
    const interrupt = () => child.kill("SIGINT");
    process.once("SIGINT", interrupt);
    const finish = (error) => {
      clearInterval(ticker);
      process.off("SIGINT", interrupt);
      if (error === undefined) resolve();
      else reject(error);
    };
    child.once("error", finish);
    child.once("close", (code, signal) => {
      finish(code === 0 ? undefined : new Error(`${command} failed (${signal ?? code}):\n${tail.trimEnd()}`));
    });
  });
}
