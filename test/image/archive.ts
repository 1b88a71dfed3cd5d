import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, link, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { output } from "../lab/command.ts";

/** An image as layers that exist as tar files, lowest first, and how it starts. */
export interface ImageRecipe {
  /** Name with tag. */
  readonly name: string;
  readonly layers: readonly Layer[];
  readonly entrypoint: readonly string[];
  readonly user: string;
}

export interface Layer {
  readonly file: string;
  /** sha256 of the file, in hex. */
  readonly digest: string;
}

/** What goes where in a layer. */
export interface LayerFile {
  readonly from: string;
  readonly to: string;
  readonly mode: number;
}

/** Packs files into a layer: the same files give the same bytes. @param directory a scratch folder of its own. */
export async function packLayer(directory: string, files: readonly LayerFile[]): Promise<Layer> {
  const root = join(directory, "root");
  for (const { from, to, mode } of files) {
    await output(["install", "-D", `--mode=${mode.toString(8)}`, from, join(root, to)]);
  }
  await mkdir(root, { recursive: true });
  const file = join(directory, "layer.tar");
  await output([
    "tar", "--create", `--file=${file}`, `--directory=${root}`, "--sort=name", "--mtime=@0", "--owner=0", "--group=0",
    "--numeric-owner", ".",
  ]);
  await rm(root, { recursive: true });
  return { file, digest: await digestOf(file) };
}

/** sha256 in hex. */
export async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/**
 * Writes images into one archive that `docker load`, `podman load` and `ctr images import` read
 * (the "Docker image specification v1.2" layout: manifest.json, a configuration per image, shared layers).
 */
export async function writeArchive(directory: string, archive: string, images: readonly ImageRecipe[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  const layers = new Map(images.flatMap((image) => image.layers).map((layer) => [layer.digest, layer.file]));
  for (const [digest, file] of layers) {
    const target = join(directory, `${digest}.tar`);
    await link(file, target).catch(() => copyFile(file, target));
  }
  const manifest = [];
  for (const image of images) {
    const text = configuration(image);
    const name = `${createHash("sha256").update(text).digest("hex")}.json`;
    await writeFile(join(directory, name), text);
    const files = image.layers.map(({ digest }) => `${digest}.tar`);
    manifest.push({ Config: name, RepoTags: [image.name], Layers: files });
  }
  await writeFile(join(directory, "manifest.json"), JSON.stringify(manifest));
  await output(["tar", "--create", `--file=${archive}`, `--directory=${directory}`, "."]);
  await rm(directory, { recursive: true });
}

function configuration(image: ImageRecipe): string {
  return JSON.stringify({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    // No time of building: the same content is the same image.
    created: "1970-01-01T00:00:00Z",
    config: {
      Entrypoint: image.entrypoint,
      User: image.user,
      Env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NODE_ENV=production"],
      WorkingDir: "/",
    },
    rootfs: { type: "layers", diff_ids: image.layers.map(({ digest }) => `sha256:${digest}`) },
    history: image.layers.map(() => ({ created: "1970-01-01T00:00:00Z", created_by: "test/image/build.ts" })),
  });
}
