import { createServer, type Server } from "node:http";
import { once } from "node:events";

/** By path, what it answers; an answer that is not `ok` is sent as 503. */
export type Endpoints = Readonly<Record<string, () => Promise<Answer> | Answer>>;

export interface Answer {
  readonly ok: boolean;
  readonly body: string;
  readonly contentType?: string;
}

/** Serves small GET endpoints (probes, metrics) over plain HTTP. @throws when the port is taken */
export async function serveEndpoints(endpoints: Endpoints, port: number, host?: string): Promise<Server> {
  const server = createServer((request, response) => {
    const endpoint = endpoints[(request.url ?? "").split("?")[0] ?? ""];
    if (request.method !== "GET" || endpoint === undefined) {
      response.writeHead(404).end("not found\n");
      return;
    }
    Promise.resolve(endpoint()).then(
      ({ ok, body, contentType = "text/plain" }) =>
        response.writeHead(ok ? 200 : 503, { "content-type": contentType }).end(body),
      () => response.writeHead(500).end("internal error\n"),
    );
  });
  server.listen(port, host);
  await once(server, "listening");
  return server;
}
