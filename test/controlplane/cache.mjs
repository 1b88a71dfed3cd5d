// What is built once and kept outside the checkout: the key of each artefact is the content it is made from.
// Plain JavaScript for any Node from 18 on, because set-up runs it before anything is installed.
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of this checkout's root. */
export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where everything built lives; `XDG_CACHE_HOME` moves it. */
export const cacheRoot = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "tierwall");

/** The first 12 hex digits of the hash of all parts: files by their content, `text:` parts as they stand. */
export function contentKey(parts) {
  const hash = createHash("sha256");
  for (const part of parts) {
    const content = part.startsWith("text:") ? part : readFileSync(join(projectRoot, part));
    hash.update(`${content.length}\n`).update(content);
  }
  return hash.digest("hex").slice(0, 12);
}

/**
 * The folder `<name>-<key>`, made by `make(temporaryFolder)` if it is not there. It appears by a rename, so two set-ups
 * at once never see half of it, and a killed one leaves only a temporary folder.
 */
export async function cached(name, key, make) {
  const directory = join(cacheRoot, `${name}-${key}`);
  if (taken(directory)) return directory;
  const temporary = `${directory}.${randomBytes(4).toString("hex")}.tmp`;
  mkdirSync(temporary, { recursive: true });
  try {
    await make(temporary);
    if (!existsSync(directory)) renameSync(temporary, directory);
    prune(name, directory);
  } catch (error) {
    if (!(error.code === "ENOTEMPTY" || error.code === "EEXIST")) throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return directory;
}

/** Whether it is there; who makes other versions meanwhile then lets it live, however old it is. */
function taken(directory) {
  const now = new Date();
  try {
    utimesSync(directory, now, now);
  } catch (error) {
    // Somebody else's cache may be only for us to read.
    if (["EACCES", "EPERM", "EROFS"].includes(error.code)) return existsSync(directory);
    if (error.code !== "ENOENT") throw error;
    return false;
  }
  return true;
}

const kept = 4;
const youngestPrunedMs = 30 * 60 * 1000;

/** Every edit of the operator makes new images: those of former edits go, unless someone may be using them just now. */
function prune(name, newest) {
  const versions = readdirSync(cacheRoot)
    .filter((entry) => entry.startsWith(`${name}-`) && /^[0-9a-f]{12}$/.test(entry.slice(name.length + 1)))
    .map((entry) => join(cacheRoot, entry))
    .map((path) => ({ path, age: Date.now() - statSync(path, { throwIfNoEntry: false })?.ctimeMs }))
    .sort((one, other) => one.age - other.age);
  for (const { path, age } of versions.slice(kept)) {
    if (path !== newest && age > youngestPrunedMs) rmSync(path, { recursive: true, force: true });
  }
}
