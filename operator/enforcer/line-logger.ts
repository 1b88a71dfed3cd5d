/** One JSON object a line: what happened, with its circumstances. Small enough for every node of a cluster. */
export interface LineLogger {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** A logger that hands each line, with its line end, to `write`. */
export function lineLogger(write: (line: string) => void, now: () => Date): LineLogger {
  const log = (level: string) => (message: string, fields: LogFields = {}) => {
    write(`${JSON.stringify({ timestamp: now().toISOString(), level, message, ...fields })}\n`);
  };
  return { info: log("info"), warn: log("warn"), error: log("error") };
}
