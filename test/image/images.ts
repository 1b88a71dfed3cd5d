import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { build } from "esbuild";
import { cached, projectRoot } from "../controlplane/cache.mjs";
import { digestOf, type ImageRecipe, type Layer, packLayer, writeArchive } from "./archive.ts";
import { baseLayer } from "./base.ts";
import { buildTraffic } from "./build-traffic.mjs";

/** The image that is shipped: Debian, Node and the two bundles. */
export const tierwallImage = "localhost/tierwall:dev";
/** The lab's workloads and DNS. */
export const labImage = "localhost/tierwall-lab:dev";
/** What holds a pod's namespaces. */
export const pauseImage = "localhost/tierwall-pause:dev";

const entryPoints = [
  { source: "operator/main.ts", bundle: "operator.mjs" },
  { source: "operator/enforcer/main.ts", bundle: "enforcer.mjs" },
];
/** What a bundle reads beside itself. */
const besideBundles = ["operator/enforcer/packet-log/ulogd.conf"];
const nodeBinary = join(projectRoot, "node_modules/node/bin/node");

export interface ImageArchive {
  /** Holds all the images named here. */
  readonly file: string;
  /** Changes when any byte of an image does. */
  readonly key: string;
}

/** Builds what changed: base and Node seldom, the bundles after each edit. */
export async function buildImages(warn: (line: string) => void): Promise<ImageArchive> {
  const traffic = await buildTraffic();
  const base = await measured(await baseLayer());
  const node = await layerOf("image-node", [{ from: nodeBinary, to: "usr/bin/node", mode: 0o755 }]);
  const app = await layerOf("image-app", await bundles(warn));
  const tool = await layerOf("image-traffic", [{ from: traffic, to: "usr/bin/traffic", mode: 0o755 }]);
  const images: ImageRecipe[] = [
    { name: tierwallImage, layers: [base, node, app], user: "65532", entrypoint: ["/usr/bin/node", "/app/operator.mjs"] },
    { name: labImage, layers: [base, tool], user: "0", entrypoint: ["/usr/bin/traffic"] },
    { name: pauseImage, layers: [tool], user: "65532", entrypoint: ["/usr/bin/traffic", "pause"] },
  ];
  const key = createHash("sha256").update(JSON.stringify(images.map((image) => ({
    ...image, layers: image.layers.map(({ digest }) => digest),
  })))).digest("hex").slice(0, 12);
  const directory = await cached("images", key, (temporary) => (
    writeArchive(join(temporary, "parts"), join(temporary, "images.tar"), images)
  ));
  return { file: join(directory, "images.tar"), key };
}

/** Bundles each entry point that exists. */
async function bundles(warn: (line: string) => void): Promise<{ from: string; to: string; mode: number }[]> {
  const files = [];
  for (const { source, bundle } of entryPoints) {
    if (!existsSync(join(projectRoot, source))) {
      warn(`${source} does not exist: the image goes without ${bundle}`);
      continue;
    }
    files.push({ from: await bundleFile(source, bundle), to: `app/${bundle}`, mode: 0o644 });
  }
  const beside = besideBundles.map((path) => {
    return { from: join(projectRoot, path), to: `app/${basename(path)}`, mode: 0o644 };
  });
  return [...files, ...beside];
}

/** An entry point with all that it imports, in one file of this name. */
export async function bundleFile(source: string, bundle: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(projectRoot, source)], absWorkingDir: projectRoot,
    bundle: true, platform: "node", target: "node24", format: "esm", write: false, logLevel: "silent",
    // CommonJS dependencies ask for `require`, which an ES module does not have.
    banner: { js: "import { createRequire as makeRequire } from \"node:module\"; "
      + "const require = makeRequire(import.meta.url);" },
  });
  const text = outputFiles[0]?.contents ?? new Uint8Array();
  const key = createHash("sha256").update(text).digest("hex").slice(0, 12);
  const directory = await cached("bundle", key, (temporary) => writeFile(join(temporary, bundle), text));
  return join(directory, bundle);
}

async function layerOf(
  name: string, files: readonly { readonly from: string; readonly to: string; readonly mode: number }[],
): Promise<Layer> {
  const hash = createHash("sha256");
  for (const { from, to } of files) {
    const { size, mtimeMs } = await stat(from);
    hash.update(JSON.stringify([from, to, size, mtimeMs]));
  }
  const directory = await cached(name, hash.digest("hex").slice(0, 12), async (temporary) => {
    const layer = await packLayer(temporary, files);
    await writeFile(join(temporary, "layer.tar.sha256"), layer.digest);
  });
  return measured(join(directory, "layer.tar"));
}

/** A layer with its digest, which is written down beside it: hashing 200 MB at every start is too slow. */
async function measured(file: string): Promise<Layer> {
  const note = `${file}.sha256`;
  const known = await readFile(note, "utf8").catch(() => undefined);
  if (known !== undefined) return { file, digest: known };
  const digest = await digestOf(file);
  await mkdir(dirname(note), { recursive: true });
  await writeFile(note, digest);
  return { file, digest };
}

