import { readArguments, type EnforcerArguments } from "./arguments.ts";
import { Enforcer } from "./enforcer.ts";
import { lineLogger } from "./line-logger.ts";

const log = lineLogger((line) => process.stdout.write(line), () => new Date());

/** One line for people, and the status that tools take for a wrong command line. */
function argumentsOrExit(): EnforcerArguments {
  try {
    return readArguments(process.argv.slice(2), process.env);
  } catch (error) {
    process.stderr.write(`tierwall-enforcer: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

const stop = new AbortController();
for (const name of ["SIGTERM", "SIGINT"] as const) {
  process.once(name, () => {
    // Nothing of ours is taken out of the kernel: it goes on enforcing while we are away.
    log.info("stopping, the rules stay in force", { signal: name });
    stop.abort();
  });
}

await new Enforcer(argumentsOrExit(), log).run(stop.signal);
process.exit(0);
