/** Inside a host of the bed: keeps connections and sends over them. One order a line on stdin, one answer on stdout. */
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { obeyOrders } from "../../lab/line-orders.ts";

export type TalkerOrder =
  /** Opens a TCP connection that stays, the only one to this address. */
  | { readonly do: "dial"; readonly to: string; readonly port: number }
  /** So many bytes there, and back from a server that says what it hears; whether all of them came. */
  | { readonly do: "transfer"; readonly to: string; readonly bytes: number; readonly withinMs: number }
  /** One datagram, always from the same port. */
  | { readonly do: "send"; readonly to: string; readonly port: number };

const dialled = new Map<string, net.Socket>();
let sender: dgram.Socket | undefined;

if (import.meta.main) await obeyOrders(obey);

async function obey(order: TalkerOrder): Promise<boolean> {
  switch (order.do) {
    case "dial": {
      const socket = net.connect({ host: order.to, port: order.port });
      socket.on("error", () => undefined);
      dialled.set(order.to, socket);
      // The server greets.
      await once(socket, "data");
      return true;
    }
    case "transfer":
      return await transfer(order.to, order.bytes, order.withinMs);
    case "send": {
      const bound = sender ?? dgram.createSocket("udp4");
      if (sender === undefined) bound.bind(0);
      sender = bound;
      return await new Promise((resolve) => bound.send("?", order.port, order.to, (error) => resolve(error === null)));
    }
  }
}

function transfer(to: string, bytes: number, withinMs: number): Promise<boolean> {
  const socket = dialled.get(to);
  if (socket === undefined) throw new Error(`nothing is dialled to ${to}`);
  return new Promise((resolve) => {
    let back = 0;
    const hear = (chunk: Buffer): void => {
      back += chunk.length;
      if (back >= bytes) done(true);
    };
    const done = (complete: boolean): void => {
      clearTimeout(timer);
      socket.off("data", hear);
      resolve(complete);
    };
    const timer = setTimeout(() => done(false), withinMs);
    socket.on("data", hear);
    socket.write(Buffer.alloc(bytes, "x"));
  });
}
