// `npm run image`: builds the images and says where they are. `--quiet`: builds only.
import { buildImages, tierwallImage } from "./images.ts";

const archive = await buildImages((line) => process.stderr.write(`image: ${line}\n`));
if (!process.argv.includes("--quiet")) {
  process.stdout.write(`${tierwallImage} is in ${archive.file}\n`);
  process.stdout.write(`load it with: ctr -n k8s.io images import ${archive.file} (or docker load -i, podman load -i)\n`);
}
