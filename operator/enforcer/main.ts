import { errorMessage } from "../api/error-message.ts";
import { readArguments, readCleanupArguments } from "./arguments.ts";
import { cleanUp } from "./cleanup.ts";
import { Enforcer } from "./enforcer.ts";
import { lineLogger } from "./line-logger.ts";

/** The status that tools take for a wrong command line. */
const MISUSED = 2;

/** One line for people. */
function exitWith(error: unknown, status: number): never {
  process.stderr.write(`tierwall-enforcer: ${errorMessage(error)}\n`);
  process.exit(status);
}

function readOrExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return exitWith(error, MISUSED);
  }
}

const stop = new AbortController();
const [command, ...rest] = process.argv.slice(2);
if (command === "cleanup") {
  const { stateDirectory } = readOrExit(() => readCleanupArguments(rest));
  const removed = await cleanUp(stateDirectory, stop.signal).catch((error: unknown) => exitWith(error, 1));
  process.stdout.write(`${removed}\n`);
  process.exit(0);
}

const given = readOrExit(() => readArguments(process.argv.slice(2), process.env));
const log = lineLogger((line) => process.stdout.write(line), () => new Date());
for (const name of ["SIGTERM", "SIGINT"] as const) {
  process.once(name, () => {
    // Nothing of ours is taken out of the kernel: it goes on enforcing while we are away.
    log.info("stopping, the rules stay in force", { signal: name });
    stop.abort();
  });
}
await new Enforcer(given, log).run(stop.signal);
process.exit(0);
