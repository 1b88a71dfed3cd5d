import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { parse } from "yaml";

import { Reader } from "../../../operator/api/reader.ts";
import { output } from "../../lab/command.ts";

const FOLDER = new URL("../../../config/argocd/", import.meta.url);
const SCRIPT = fileURLToPath(new URL("health.lua", FOLDER));

/** What Argo CD shows of a resource. */
export interface Health {
  readonly status: string;
  readonly message: string;
}

/** An entry of health_test.yaml, in the form of Argo CD's own repository. */
export interface HealthTest {
  /** From config/argocd. */
  readonly inputPath: string;
  readonly healthStatus: Health;
}

/**
 * What the shipped script has of Lua where it runs: the language, `table` and the clock, and no methods of strings.
 * Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/health/ (`useOpenLibs`, off by default)
 */
const ROOM = `
local room = { table = table, os = { time = os.time, date = os.date } }
for _, name in ipairs { "assert", "error", "ipairs", "next", "pairs", "pcall", "select", "tonumber", "tostring", "type",
  "unpack", "rawget", "rawset", "setmetatable", "getmetatable" } do
  room[name] = _G[name]
end
room.obj = obj
getmetatable("").__index = nil
`;

/** Runs health.lua on an object as the API server shows it. @throws with Lua's words */
export async function healthOf(object: unknown): Promise<Health> {
  const program = `obj = ${luaLiteral(object)}
${ROOM}
local run = setfenv(assert(loadfile(${luaText(SCRIPT)})), room)
local health = run()
assert(type(health.status) == "string" and type(health.message) == "string", "not a health")
io.write(health.status, "\\n", health.message)`;
  const [status = "", ...lines] = (await output(["lua5.1", "-"], { input: program, timeoutMs: 10_000 })).split("\n");
  return { status, message: lines.join("\n") };
}

/** A file of config/argocd. */
export function argocdText(path: string): string {
  return readFileSync(new URL(path, FOLDER), "utf8");
}

export function healthTests(): readonly HealthTest[] {
  return new Reader(parse(argocdText("health_test.yaml"))).at("tests").each((test) => ({
    inputPath: test.at("inputPath").text(),
    healthStatus: {
      status: test.at("healthStatus").at("status").text(), message: test.at("healthStatus").at("message").text(),
    },
  }));
}

/** A JSON value as Lua 5.1 reads it. A member that is null is not there, as in Argo CD. */
function luaLiteral(value: unknown): string {
  if (value === null || value === undefined) return "nil";
  if (typeof value === "string") return luaText(value);
  if (Array.isArray(value)) return `{${value.map(luaLiteral).join(", ")}}`;
  if (typeof value !== "object") return String(value);
  return `{${Object.entries(value).map(([key, member]) => `[${luaText(key)}] = ${luaLiteral(member)}`).join(", ")}}`;
}

function luaText(text: string): string {
  const escaped = text.replaceAll(/["\\\p{Cc}]/gu, (sign) => `\\${String(sign.codePointAt(0)).padStart(3, "0")}`);
  return `"${escaped}"`;
}
