/** Inside a host of the bed: sends and hears what no plain probe is. One order a line on stdin, one answer on stdout. */
import dgram from "node:dgram";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { obeyOrders } from "../lab/line-orders.ts";

export type OddOrder =
  /**
   * Answers every datagram with its first byte, and every TCP connection with what it says. A `group` is joined on
   * `eth0`.
   */
  | { readonly do: "listen"; readonly port: number; readonly group?: string }
  /** One datagram of so many bytes, from an address of the host's if it matters which; whether an answer came. */
  | { readonly do: "ask"; readonly to: string; readonly port: number; readonly bytes: number; readonly from?: string }
  /** The same on a socket that is kept, in place of the one before. */
  | { readonly do: "hold"; readonly to: string; readonly port: number }
  /** One more datagram on the kept socket; whether an answer came. */
  | { readonly do: "say" }
  /** Every listener says something to whom it last heard from, without being asked. */
  | { readonly do: "push" }
  /** Whether something comes on the kept socket by itself, or has come since it was last asked. */
  | { readonly do: "hear" }
  /** How many datagrams have come since this was last asked. */
  | { readonly do: "heard" }
  /** So many bytes there and back over a new TCP connection; whether all came back. */
  | { readonly do: "transfer"; readonly to: string; readonly port: number; readonly bytes: number };

const ANSWER_MS = 400;
const EVERY_MS = 10;
const TRANSFER_MS = 3_000;
let heard = 0;
/** To whom each listener heard last. */
const talkers = new Map<dgram.Socket, dgram.RemoteInfo>();
/** The kept socket, what came on it, and how much of that was told. */
let held: dgram.Socket | undefined;
const answers = { came: 0, told: 0 };

if (import.meta.main) await obeyOrders(obey);

async function obey(order: OddOrder): Promise<unknown> {
  switch (order.do) {
    case "listen":
      for (const type of ["udp4", "udp6"] as const) await listenUdp(type, order.port, order.group);
      return await listenTcp(order.port);
    case "ask":
      return await ask(order);
    case "hold":
      return await hold(order.to, order.port);
    case "say":
      held?.send("x");
      return await comes();
    case "push":
      for (const [socket, { address, port }] of talkers) socket.send("!", port, address);
      return true;
    case "hear":
      return await comes();
    case "heard": {
      const count = heard;
      heard = 0;
      return count;
    }
    case "transfer":
      return await transfer(order.to, order.port, order.bytes);
  }
}

async function listenUdp(type: "udp4" | "udp6", port: number, group: string | undefined): Promise<void> {
  const socket = dgram.createSocket({ type, ipv6Only: type === "udp6" });
  socket.on("message", (message, from) => {
    heard += 1;
    talkers.set(socket, from);
    socket.send(message.subarray(0, 1), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(port, resolve));
  if (group === undefined || net.isIPv6(group) !== (type === "udp6")) return;
  // The kernel finds the interface of an IPv4 group by its routes.
  socket.addMembership(group, type === "udp6" ? "::%eth0" : undefined);
}

function listenTcp(port: number): Promise<boolean> {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  return new Promise((resolve) => server.listen(port, "::", () => resolve(true)));
}

function ask({ to, port, bytes, from }: Extract<OddOrder, { do: "ask" }>): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(to.includes(":") ? "udp6" : "udp4");
    const done = (answered: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answered);
    };
    const timer = setTimeout(() => done(false), ANSWER_MS);
    socket.once("message", () => done(true));
    socket.once("error", () => done(false));
    socket.bind(0, from, () => {
      if (!to.includes(":")) socket.setBroadcast(true);
      socket.send(Buffer.alloc(bytes, "x"), port, to);
    });
  });
}

async function hold(to: string, port: number): Promise<boolean> {
  held?.close();
  const socket = (held = dgram.createSocket("udp6"));
  socket.on("error", () => undefined).on("message", () => (answers.came += 1));
  await new Promise<void>((resolve) => socket.connect(port, to, resolve));
  socket.send("x");
  return await comes();
}

async function comes(): Promise<boolean> {
  for (let waited = 0; answers.came === answers.told && waited < ANSWER_MS; waited += EVERY_MS) await sleep(EVERY_MS);
  const some = answers.came > answers.told;
  answers.told = answers.came;
  return some;
}

function transfer(to: string, port: number, bytes: number): Promise<boolean> {
  return new Promise((resolve) => {
    let back = 0;
    const socket = net.connect({ host: to, port }, () => socket.write(Buffer.alloc(bytes, "x")));
    const done = (complete: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(complete);
    };
    const timer = setTimeout(() => done(false), TRANSFER_MS);
    socket.on("data", (chunk) => {
      back += chunk.length;
      if (back === bytes) done(true);
    });
    socket.once("error", () => done(false));
  });
}
