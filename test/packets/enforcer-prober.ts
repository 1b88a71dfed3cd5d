/**
 * Runs inside one network namespace and does what it is told, one JSON object a line: listens, probes, keeps
 * connections. Answers one line each, with the same `id`.
 */
import dgram from "node:dgram";
import net from "node:net";
import { createInterface } from "node:readline";

export type Order =
  | { readonly do: "listen"; readonly protocol: "TCP" | "UDP"; readonly port: number }
  | { readonly do: "probe"; readonly protocol: "TCP" | "UDP"; readonly host: string; readonly port: number }
  /** Keeps a TCP connection under the name `host:port`. */
  | { readonly do: "connect"; readonly host: string; readonly port: number }
  /** Whether that connection still carries a byte there and back. */
  | { readonly do: "echo"; readonly host: string; readonly port: number }
  /** Whether anything comes on that connection by itself. */
  | { readonly do: "hear"; readonly host: string; readonly port: number }
  /** Says something on every connection to the port, without being asked. */
  | { readonly do: "push"; readonly port: number };

export type Outcome = "open" | "refused" | "dropped";

const DROPPED_AFTER_MS = 400;
const kept = new Map<string, net.Socket>();
const accepted = new Set<net.Socket>();

if (import.meta.main) {
  process.stdout.write("ready\n");
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, order } = JSON.parse(line) as { id: number; order: Order };
    void carryOut(order).then((outcome) => process.stdout.write(`${JSON.stringify({ id, outcome })}\n`));
  }
  process.exit(0);
}

async function carryOut(order: Order): Promise<Outcome> {
  switch (order.do) {
    case "listen":
      return order.protocol === "TCP" ? await listenTcp(order.port) : await listenUdp(order.port);
    case "probe":
      return order.protocol === "TCP" ? await probeTcp(order.host, order.port) : await probeUdp(order.host, order.port);
    case "connect":
      return await connect(order.host, order.port);
    case "echo":
      return await answer(order.host, order.port, ".");
    case "hear":
      return await answer(order.host, order.port, "");
    case "push":
      for (const socket of accepted) if (socket.localPort === order.port) socket.write("!");
      return "open";
  }
}

function listenTcp(port: number): Promise<Outcome> {
  const server = net.createServer((socket) => {
    accepted.add(socket.on("close", () => accepted.delete(socket)).on("error", () => undefined));
    socket.pipe(socket);
  });
  return new Promise((resolve) => server.listen(port, "0.0.0.0", () => resolve("open")));
}

function listenUdp(port: number): Promise<Outcome> {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (message, from) => socket.send(message, from.port, from.address));
  return new Promise((resolve) => socket.bind(port, "0.0.0.0", () => resolve("open")));
}

function probeTcp(host: string, port: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const done = (outcome: Outcome): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(DROPPED_AFTER_MS, () => done("dropped"));
    socket.once("connect", () => done("open"));
    socket.once("error", () => done("refused"));
  });
}

function probeUdp(host: string, port: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket("udp4");
    const done = (outcome: Outcome): void => {
      clearTimeout(timer);
      socket.close();
      resolve(outcome);
    };
    const timer = setTimeout(() => done("dropped"), DROPPED_AFTER_MS);
    socket.once("message", () => done("open"));
    socket.once("error", () => done("refused"));
    socket.connect(port, host, () => socket.send("?"));
  });
}

function connect(host: string, port: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port }, () => resolve("open"));
    socket.on("error", () => resolve("refused"));
    kept.set(`${host}:${port}`, socket);
  });
}

/** Whether anything comes back on a kept connection after saying `words`. */
function answer(host: string, port: number, words: string): Promise<Outcome> {
  const socket = kept.get(`${host}:${port}`);
  if (socket === undefined) return Promise.resolve("refused");
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("dropped"), DROPPED_AFTER_MS);
    socket.once("data", () => {
      clearTimeout(timer);
      resolve("open");
    });
    if (words !== "") socket.write(words);
  });
}
