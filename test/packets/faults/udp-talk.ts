/**
 * Inside a pod: one UDP flow that stays, on which the client says something all the time. One order a line on stdin, one
 * answer on stdout.
 */
import dgram from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { obeyOrders } from "../../lab/line-orders.ts";
import { monotonicMs } from "../../lab/prober.ts";

export type TalkOrder =
  /** Answered once the server has answered for the first time. */
  | { readonly do: "begin"; readonly to: string; readonly port: number }
  | { readonly do: "look" }
  /** Says no more, and waits for what is still to be answered. */
  | { readonly do: "end" };

/** What became of it so far. */
export interface Talked {
  readonly said: number;
  readonly heard: number;
  /** On the clock of `monotonicMs`. */
  readonly lastHeardAtMs: number;
}

const EVERY_MS = 20;
const FIRST_MS = 5_000;
/** As long as a probe's answer may take. */
const LAST_MS = 900;

const socket = dgram.createSocket("udp4");
let talked: Talked = { said: 0, heard: 0, lastHeardAtMs: -Infinity };
let timer: NodeJS.Timeout | undefined;

if (import.meta.main) await obeyOrders(obey);

async function obey(order: TalkOrder): Promise<Talked> {
  switch (order.do) {
    case "begin":
      socket.on("error", () => undefined);
      socket.on("message", () => (talked = { ...talked, heard: talked.heard + 1, lastHeardAtMs: monotonicMs() }));
      await new Promise<void>((resolve) => socket.connect(order.port, order.to, resolve));
      timer = setInterval(say, EVERY_MS);
      if (!(await within(FIRST_MS, () => talked.heard > 0))) throw new Error("nobody answers");
      // What was said before there was a way is no loss.
      talked = { ...talked, said: talked.heard };
      return talked;
    case "look":
      return talked;
    case "end":
      clearInterval(timer);
      await within(LAST_MS, () => talked.heard >= talked.said);
      return talked;
  }
}

function say(): void {
  talked = { ...talked, said: talked.said + 1 };
  socket.send("line\n");
}

async function within(ms: number, holds: () => boolean): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end && !holds(); ) await sleep(1);
  return holds();
}
