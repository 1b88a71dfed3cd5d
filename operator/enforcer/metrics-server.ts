import { createServer } from "node:http";

/** Serves `/metrics` on all addresses until the signal is aborted. @throws on listen */
export async function serveMetrics(
  port: number,
  read: () => Promise<string>,
  signal: AbortSignal,
): Promise<void> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") return void response.writeHead(404).end();
    read().then(
      (text) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text),
      // What is wrong with the kernel is said where it is put right.
      () => response.writeHead(503).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, signal }, resolve);
  });
}
