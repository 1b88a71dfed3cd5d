import { createServer } from "node:http";
import type { Server } from "node:http";

/** Serves `/healthz` (the process turns) and `/readyz` (asks `ready`) until the signal is aborted. @throws on listen */
export async function serveProbes(
  { host, port }: { readonly host: string; readonly port: number },
  ready: () => boolean,
  signal: AbortSignal,
): Promise<Server> {
  const server = createServer((request, response) => {
    const status = request.url === "/healthz" ? 200 : request.url !== "/readyz" ? 404 : ready() ? 200 : 503;
    response.writeHead(status, { "content-type": "text/plain" }).end(status === 200 ? "ok\n" : "not ready\n");
  });
  return await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, signal }, () => resolve(server));
  });
}
